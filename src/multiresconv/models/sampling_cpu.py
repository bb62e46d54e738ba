"""`complete_cpu`: sampling by a Numba kernel, from a model and its state to the arrays and addresses that it takes."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multiresconv.layers import MultiresBlock
from multiresconv.layers.multires_block import checked_blocks
from multiresconv.models.autoregressive import MultiresAR
from multiresconv.ops import State
from multiresconv.ops.cpu.threads import parallel

# Pixels in one call of the kernel, which only comes to an end of itself.
_PIXELS = 32


def complete_cpu(
    model: MultiresAR, images: Tensor, given: int, gumbel: NDArray[np.float64], logistic: NDArray[np.float64],
    state: State,
) -> bool:  # fmt: skip
    """Fill images (B, L, C) from pixel `given` on, in place, with noise (B, L, M) and (B, L, C); uses up the state.

    Returns whether it could: False, having done nothing, where the model is not on the CPU, or anything in it is not
    what `MultiresAR` put there.

    Raises:
        ValueError: parameters that are not finite.
    """
    arguments = _network(model, state["lines"])
    if arguments is None:
        return False
    from multiresconv.ops.cpu.kernels.sampling import sample_pixels

    batch, length, _ = images.shape
    groups = min(torch.get_num_threads(), batch)
    finite = np.ones(batch, np.bool_)
    params, lines, position = (state[name].contiguous().numpy() for name in ("params", "lines", "position"))
    for first in range(given, length, _PIXELS):
        span = (first, min(first + _PIXELS, length))
        args = [images.numpy(), *span, params, gumbel, logistic, lines, position, *arguments, finite, groups]
        parallel(sample_pixels, groups, 1 << 40, args)
        if not finite.all():
            raise ValueError(f"model: expected finite outputs, got NaN or infinity in pixels {span[0]}..{span[1] - 1}")
    return True


def _network(model: MultiresAR, lines: Tensor) -> list[object] | None:
    """What the kernel has to know of the network, valid as long as the model lives, or None where it is not for it."""
    checked = checked_blocks(cast(Sequence[MultiresBlock], model.net.blocks))
    heads = []
    for head in (model.net.encoder, model.output):
        if type(head) is not nn.Linear or head.bias is None or head._forward_hooks or head._forward_pre_hooks:
            return None
        heads += [head.weight.detach().contiguous(), head.bias.detach().contiguous()]
    encoded = heads[0].new_empty(len(lines), len(heads[0]))
    if checked is None or not checked.take(encoded, lines):
        return None
    return [*(t.numpy() for t in heads), *checked.arguments]
