"""The operator with Numba kernels on several threads.

The kernels are compiled on first use and cached on disk. Importing this module does not import Numba.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multiresconv.ops.cpu.arrays import array, filters, parameter_gradients, patterns, work
from multiresconv.ops.cpu.threads import parallel
from multiresconv.ops.layout import channels_last, empty_like

# Longest row, in steps, that stays in the caches with all its scales; longer rows are computed in parts.
LONG = 1 << 17


def forward(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> Tensor:
    """Compute y of `multires_conv`; shapes as in `multires_conv_reference`."""
    from multiresconv.ops.cpu.kernels import operator as kernels

    if x.shape[2] > LONG and (parts := _parts(h0, h1, w, memory, x.shape[2])):
        return _forward_long(x, h0, w, memory, parts)
    y = empty_like(x)
    if channels_last(x):
        kernel, units = kernels.forward_channels_last, x.shape[0] * -(-x.shape[1] // kernels.BLOCK)
    else:
        kernel, units = kernels.forward, x.shape[0] * x.shape[1]
    args = [*_dense([x, y], like=x), *filters(h0, h1, w, memory)]
    parallel(kernel, units, work(x, h0, w), [*patterns(x.dtype, h0.shape[1], memory, kernels.GROUP), *args])
    return y


def backward(
    grad_y: Tensor, x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of x, h0, h1 and w, shaped like them."""
    from multiresconv.ops.cpu.kernels import operator as kernels

    if x.shape[2] > LONG and (parts := _parts(h0, h1, w, memory, x.shape[2])):
        return _backward_long(grad_y, x, h0, w, memory, parts)
    grad_x = empty_like(x)
    batch, channels = x.shape[:2]
    # Parameter gradients of each (element, channel), summed below in a fixed order: any number of threads gives the
    # same bits.
    grads = np.empty((batch, channels, 2 * h0.shape[1] + w.shape[1]))
    if channels_last(x):
        kernel, units = kernels.backward_channels_last, batch * -(-channels // kernels.BLOCK)
    else:
        kernel, units = kernels.backward, batch * channels
    sequences = _dense([x, grad_y, grad_x], like=x)
    args = [*patterns(x.dtype, h0.shape[1], memory, kernels.GROUP), *sequences, *filters(h0, h1, w, memory), grads]
    parallel(kernel, units, 3 * work(x, h0, w), args)
    return grad_x, *parameter_gradients(grads.sum(axis=0), h0.shape[1], x.dtype)


def _dense(tensors: Sequence[Tensor], *, like: Tensor) -> list[np.ndarray]:
    """Return tensors (B, D, L) as C-contiguous arrays, (B, L, D) if `like` is channels last; copied only if needed."""
    if channels_last(like):
        return [array(t.transpose(1, 2)) for t in tensors]
    return [array(t) for t in tensors]


def _forward_long(x: Tensor, h0: Tensor, w: Tensor, memory: Sequence[int], parts: list[Any]) -> Tensor:
    """Compute `forward` with the fine and coarse scales of `_parts`."""
    from multiresconv.ops.cpu.kernels import long_rows as long_kernels
    from multiresconv.ops.cpu.kernels import operator as kernels

    (x_,) = _sequences([x], like=x)
    y = np.empty_like(x_)  # NumPy allocates huge pages, unlike PyTorch; small pages would cost as much as a few scales
    units = x_.shape[0] * -(-x_.shape[2] // kernels.BLOCK)
    args = [*patterns(x.dtype, h0.shape[1], memory, kernels.GROUP), x_, y, *parts]
    parallel(long_kernels.forward_long, units, work(x, h0, w), args)
    return _tensor(y, like=x)


def _backward_long(
    grad_y: Tensor, x: Tensor, h0: Tensor, w: Tensor, memory: Sequence[int], parts: list[Any]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from multiresconv.ops.cpu.kernels import long_rows as long_kernels
    from multiresconv.ops.cpu.kernels import operator as kernels

    x_, grad_y_ = _sequences([x, grad_y], like=x)
    grad_x = np.empty_like(x_)
    batch, channels, taps = *x.shape[:2], 2 * h0.shape[1]
    fine, coarse = (np.empty((batch * channels, taps + weights.shape[1])) for weights in parts[2:4])
    units = x_.shape[0] * -(-x_.shape[2] // kernels.BLOCK)
    args = [*patterns(x.dtype, h0.shape[1], memory, kernels.GROUP), x_, grad_y_, grad_x, *parts, fine, coarse]
    parallel(long_kernels.backward_long, units, 3 * work(x, h0, w), args)
    # both parts have gradients of the taps; coarse has those of w_a and its weights, fine those of its weights and w_x
    grads = np.hstack([fine[:, :taps] + coarse[:, :taps], coarse[:, taps:-1], fine[:, taps + 1 :]])
    sums = grads.reshape(batch, channels, -1).sum(axis=0)
    return _tensor(grad_x, like=x), *parameter_gradients(sums, h0.shape[1], x.dtype)


def _parts(h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int], length: int) -> list[Any]:
    """Return the arguments of the long-row kernels: filters, fine and coarse weights and memories, tile and halo size.

    Empty if a row is better computed as a whole.
    """
    from multiresconv.ops.cpu.kernels import long_rows as long_kernels

    fine, halo = long_kernels.fine_scales(memory, h0.shape[1], length)
    if fine == 0:
        return []
    lo, hi, weights, counts = filters(h0, h1, w, memory)
    zero, at = np.zeros_like(weights[:, :1]), 1 + sum(memory[:-fine])
    w_fine, w_coarse = np.hstack([zero, weights[:, at:]]), np.hstack([weights[:, :at], zero])
    return [lo, hi, w_fine, w_coarse, counts[-fine:], counts[:-fine], long_kernels.TILE, halo]


def _sequences(tensors: Sequence[Tensor], *, like: Tensor) -> list[np.ndarray]:
    """Return tensors (B, D, L) as the long-row kernels take them: (B * D, L, 1), or (B, L, D) if channels last."""
    arrays = _dense(tensors, like=like)
    return arrays if channels_last(like) else [array.reshape(-1, array.shape[2], 1) for array in arrays]


def _tensor(sequences: np.ndarray, *, like: Tensor) -> Tensor:
    """Return the array of a sequence as a tensor (B, D, L); the inverse of `_sequences`."""
    t = torch.from_numpy(sequences)
    return t.transpose(1, 2) if channels_last(like) else t.view(like.shape)
