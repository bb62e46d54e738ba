"""The contract of a whole block as one operator; `MultiresBlock` is the module around it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

Taps = tuple[Tensor, Tensor, Tensor]
Map = tuple[Tensor, Tensor]


class BlockParameters(NamedTuple):
    """What a block computes with; None for a part that it does not have.

    Attributes:
        conv: h0 (D, K), h1 (D, K) and w (D, W) of `multires_conv`.
        memory: (m_J, ..., m_1), of both directions.
        mix: weight (2D, D) and bias (2D,) of the linear map.
        reverse: h0, h1 and w of a second convolution, which reads each sequence from its end; as those of `conv`.
        projection: weight (D, D) and bias (D,) of the second linear map.
        norm: weight (D,) and bias (D,) of a layer norm.
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
        """All tensors, in the order of `TENSORS`."""
        reverse, none = self.reverse or (None,) * 3, (None,) * 2
        return [*self.conv, *self.mix, *reverse, *(self.projection or none), *(self.norm or none)]

    @staticmethod
    def unflatten(tensors: Sequence[Tensor | None], memory: Sequence[int], eps: float) -> "BlockParameters":
        """The inverse of `flatten`."""
        parts: list[Any] = [tensors[:3], tensors[3:5], tensors[5:8], tensors[8:10], tensors[10:]]
        conv, mix, *optional = map(tuple, parts)
        reverse, projection, norm = (None if part[0] is None else part for part in optional)
        return BlockParameters(conv, tuple(memory), mix, reverse, projection, norm, eps)


TENSORS = (
    "Tensor h0, Tensor h1, Tensor w, Tensor mix_weight, Tensor mix_bias, Tensor? reverse_h0, Tensor? reverse_h1, "
    "Tensor? reverse_w, Tensor? projection_weight, Tensor? projection_bias, Tensor? norm_weight, Tensor? norm_bias"
)
"""The tensors of `BlockParameters.flatten` in the schema of an operator."""


def multires_block(
    x: Tensor,
    parameters: BlockParameters,
    scales: tuple[Tensor, Tensor],
    lengths: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """norm(x + projection(s_2 * GLU(mix(s_1 * GELU(y))))) of x (B, L, D), as one operator on the CPU: (B, L, D).

    y is `multires_conv` of x; with `reverse`, that of the sequence read from its own end is added, turned back.
    Differentiable once.

    Args:
        x: (B, L, D), float32 or float64.
        parameters: of the dtype of x.
        scales: s_1 and s_2 (B, D), what dropout multiplies the channels with; they get no gradient.
        lengths: (B,) integers in 1..L, how many steps of each element are valid, or None for all. No time is spent on
            the others: they come out as 0, and so does their gradient.
        dtype: of the linear maps: that of x, the default, or bfloat16 where x is float32. All else has the dtype of x.
    """
    from multiresconv.ops.cpu.registration import block_cpu  # which needs the names above

    return block_cpu(x, parameters, scales, lengths, dtype or x.dtype)
