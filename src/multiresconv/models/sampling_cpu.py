"""`complete_cpu`: sampling by a Numba kernel, from a model and its state to the arrays and addresses that it takes."""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multiresconv.layers.multires_block import MultiresBlock, _plain_tensors
from multiresconv.models.autoregressive import MultiresAR
from multiresconv.ops import State
from multiresconv.ops.cpu import _parallel
from multiresconv.ops.streaming_cpu import step_blocks_cpu

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
    arguments = _network(model)
    if arguments is None:
        return False
    from multiresconv.models.sampling_kernels import sample_pixels

    batch, length, _ = images.shape
    groups = min(torch.get_num_threads(), batch)
    finite = np.ones(batch, np.bool_)
    params, lines, position = (state[name].contiguous().numpy() for name in ("params", "lines", "position"))
    for first in range(given, length, _PIXELS):
        span = (first, min(first + _PIXELS, length))
        args = [images.numpy(), *span, params, gumbel, logistic, lines, position, *arguments, finite, groups]
        _parallel(sample_pixels, groups, 1 << 40, args)
        if not finite.all():
            raise ValueError(f"model: expected finite outputs, got NaN or infinity in pixels {span[0]}..{span[1] - 1}")
    return True


def _network(model: MultiresAR) -> list[object] | None:
    """What the kernel has to know of the network, valid as long as the model lives."""
    blocks = [cast(MultiresBlock, block) for block in model.net.blocks]
    found = [tensors for block in blocks if (tensors := _plain_tensors(block)) is not None]
    if len(found) < len(blocks):
        return None
    heads = []
    for head in (model.net.encoder, model.output):
        if type(head) is not nn.Linear or head.bias is None or head._forward_hooks or head._forward_pre_hooks:
            return None
        heads += [head.weight.detach().contiguous(), head.bias.detach().contiguous()]
    conv, trial = blocks[0].conv, model.net.init_state(1)
    x = heads[2].new_zeros(1, conv.d_model)
    if step_blocks_cpu(x, trial["lines"], trial["position"], found, conv.memory) is None:
        return None  # another device or dtype, or whatever else it does not take
    addresses = np.array([[cast(Tensor, t).data_ptr() for t in block.tensors] for block in found])
    eps, kind = np.array([block.eps for block in found]), (found[0].projection, found[0].batch_norm)
    return [*(t.numpy() for t in heads), addresses, eps, conv.kernel_size, np.array(conv.memory), *kind]
