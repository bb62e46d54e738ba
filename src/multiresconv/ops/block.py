"""A whole block as one operator: parameters and entry point. `MultiresBlock` is the module that calls it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

Taps = tuple[Tensor, Tensor, Tensor]
Map = tuple[Tensor, Tensor]


class BlockParameters(NamedTuple):
    """The parameters of a block; None for a part that the block does not have.

    Attributes:
        conv: h0 (D, K), h1 (D, K) and w (D, W) of `multires_conv`.
        memory: (m_J, ..., m_1), for both directions.
        mix: weight (2D, D) and bias (2D,) of the first linear map.
        reverse: h0, h1 and w, shaped as in `conv`, of a second convolution that reads each sequence from its end.
        projection: weight (D, D) and bias (D,) of the second linear map.
        norm: weight (D,) and bias (D,) of the layer norm.
        eps: epsilon of the layer norm.
    """

    conv: Taps
    memory: tuple[int, ...]
    mix: Map
    reverse: Taps | None = None
    projection: Map | None = None
    norm: Map | None = None
    eps: float = 0.0

    def flatten(self) -> list[Tensor | None]:
        """Return all tensors in the order of `TENSORS`."""
        reverse, none = self.reverse or (None,) * 3, (None,) * 2
        return [*self.conv, *self.mix, *reverse, *(self.projection or none), *(self.norm or none)]

    @staticmethod
    def unflatten(tensors: Sequence[Tensor | None], memory: Sequence[int], eps: float) -> "BlockParameters":
        """Rebuild the parameters from the list that `flatten` returns."""
        parts: list[Any] = [tensors[:3], tensors[3:5], tensors[5:8], tensors[8:10], tensors[10:]]
        conv, mix, *optional = map(tuple, parts)
        reverse, projection, norm = (None if part[0] is None else part for part in optional)
        return BlockParameters(conv, tuple(memory), mix, reverse, projection, norm, eps)


TENSORS = (
    "Tensor h0, Tensor h1, Tensor w, Tensor mix_weight, Tensor mix_bias, Tensor? reverse_h0, Tensor? reverse_h1, "
    "Tensor? reverse_w, Tensor? projection_weight, Tensor? projection_bias, Tensor? norm_weight, Tensor? norm_bias"
)
"""Operator schema of the tensors that `BlockParameters.flatten` returns."""


def multires_block(
    x: Tensor,
    parameters: BlockParameters,
    scales: tuple[Tensor, Tensor],
    lengths: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Compute norm(x + projection(s_2 * GLU(mix(s_1 * GELU(y))))) as one operator on the CPU.

    y is `multires_conv` of x. With `reverse`, the second convolution reads each sequence from its end; its output is
    flipped back and added to y. Differentiable once.

    Args:
        x: (B, L, D), float32 or float64.
        parameters: tensors in the dtype of x.
        scales: s_1 and s_2 (B, D), the dropout factors of the channels; they get no gradient.
        lengths: (B,) integers in 1..L, the number of valid steps of each element; None if all are valid. Padding costs
            no time: its output and its gradient are 0.
        dtype: dtype of the linear maps: the dtype of x (the default), or bfloat16 for a float32 x. All other
            computations use the dtype of x.

    Returns:
        (B, L, D) in the dtype of x.
    """
    from multiresconv.ops.cpu.registration import block_cpu  # imported here because it imports this module

    return block_cpu(x, parameters, scales, lengths, dtype or x.dtype)
