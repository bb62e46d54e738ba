"""`complete_cpu`: sampling by a Numba kernel, from a model and its state to the arrays and addresses that it takes."""

from collections.abc import Sequence
from typing import cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multiresconv.layers import ChannelDropout, MaskedBatchNorm, MultiresBlock, MultiresLayer
from multiresconv.models.autoregressive import MultiresAR
from multiresconv.ops import State
from multiresconv.ops.cpu.streaming import BlockTensors, CheckedBlocks, check_blocks
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
    for head in (model.net.encoder, model.head):
        if type(head) is not nn.Linear or head.bias is None or head._forward_hooks or head._forward_pre_hooks:
            return None
        heads += [head.weight.detach().contiguous(), head.bias.detach().contiguous()]
    encoded = heads[0].new_empty(len(lines), len(heads[0]))
    if checked is None or not checked.take(encoded, lines):
        return None
    return [*(t.numpy() for t in heads), *checked.arguments]


def checked_blocks(blocks: Sequence[MultiresBlock]) -> CheckedBlocks | None:
    """The blocks for the kernel, or None; what was found the last time is taken again where it still holds."""
    plain = [tensors for block in blocks if (tensors := _plain_tensors(block)) is not None]
    if len(plain) < len(blocks):
        return None
    first = next(iter(blocks))
    checked = _last_checked.get(first)
    if checked is None or not checked.are(plain):
        checked = check_blocks(plain)
        if checked is not None:
            _last_checked[first] = checked
    return checked


_last_checked: WeakKeyDictionary[MultiresBlock, CheckedBlocks] = WeakKeyDictionary()


def _plain_tensors(block: MultiresBlock) -> BlockTensors | None:
    """The tensors of a block, None among them where one is missing; or None where they are not all there is to a step.

    A part that someone has exchanged, parametrized or hooked is left to PyTorch, and so is one that a step refuses.
    Looked up in the dicts behind the attributes: `block.mix.weight` takes a microsecond, a step has dozens of them.
    """
    parts = block._modules
    conv, mix, dropout, projection, norm = (parts.get(n) for n in ("conv", "mix", "dropout", "projection", "norm"))
    batch_norm = type(norm) is MaskedBatchNorm
    if (
        type(conv) is not MultiresLayer
        or type(mix) is not nn.Linear
        or type(dropout) is not ChannelDropout
        or not (projection is None or type(projection) is nn.Linear)
        or not (batch_norm or type(norm) is nn.LayerNorm)
        or (dropout.training and dropout.p > 0)
        or (batch_norm and norm.training)
        or conv.backend not in ("auto", "cpu")
        or type(block) is not MultiresBlock
    ):
        return None
    for part in (block, conv, mix, dropout, norm, projection):
        if part is not None and (part._forward_hooks or part._forward_pre_hooks):
            return None
    get = conv._parameters.get
    tensors: list[Tensor | None] = [get("h0"), get("h1"), get("w")]
    for part in (mix, norm) if projection is None else (mix, norm, projection):
        get = part._parameters.get
        tensors += (get("weight"), get("bias"))
    if batch_norm:
        tensors += (norm._buffers["running_mean"], norm._buffers["running_var"])
    return BlockTensors(cast(list[Tensor], tensors), norm.eps, projection is not None, batch_norm, conv.memory)
