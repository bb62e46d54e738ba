"""The `cpu` backend: Numba kernels as PyTorch operators, spread over threads.

The kernels are compiled on their first use and cached on disk; importing this module compiles nothing and does not
import Numba.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multiresconv.ops.cpu.direct import direct
from multiresconv.ops.cpu.threads import parallel

# Steps up to which a row and all its scales stay in the caches; beyond, it is worked on in parts.
LONG = 1 << 17


def multires_conv_cpu(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]) -> Tensor:
    """y of `multires_conv`; shapes as in `multires_conv_reference`. Differentiable once."""
    run = _Convolution.apply if direct(x, h0, h1, w) else torch.ops.multiresconv.cpu_forward.default
    return run(x, h0, h1, w, memory)


class _Convolution(torch.autograd.Function):
    """The operator below, directly."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]) -> Tensor:
        ctx.memory = memory
        ctx.save_for_backward(x, h0, h1, w)
        return _forward(x, h0, h1, w, memory)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        tensors = *grads, *ctx.saved_tensors
        once = direct(*tensors) and not torch.is_grad_enabled()
        run: Any = _backward if once else torch.ops.multiresconv.cpu_backward.default
        return *run(*tensors, ctx.memory), None


# `torch.library.custom_op` would say this in less, but its first call imports torch._dynamo, for a second.
torch.library.define("multiresconv::cpu_forward", "(Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory) -> Tensor")
torch.library.define(
    "multiresconv::cpu_backward",
    "(Tensor grad_y, Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory) -> (Tensor, Tensor, Tensor, Tensor)",
)


def _forward(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> Tensor:
    from multiresconv.ops.cpu.kernels import operator as cpu_kernels

    if x.shape[2] > LONG and (parts := _parts(h0, h1, w, memory, x.shape[2])):
        return _forward_long(x, h0, w, memory, parts)
    y = _empty_like(x)
    if _channels_last(x):
        kernel, units = cpu_kernels.forward_channels_last, x.shape[0] * -(-x.shape[1] // cpu_kernels.BLOCK)
    else:
        kernel, units = cpu_kernels.forward, x.shape[0] * x.shape[1]
    args = [*_dense([x, y], like=x), *_filters(h0, h1, w, memory)]
    parallel(kernel, units, _work(x, h0, w), [*_patterns(x, h0, memory, cpu_kernels.GROUP), *args])
    return y


def _backward(
    grad_y: Tensor, x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from multiresconv.ops.cpu.kernels import operator as cpu_kernels

    if x.shape[2] > LONG and (parts := _parts(h0, h1, w, memory, x.shape[2])):
        return _backward_long(grad_y, x, h0, w, memory, parts)
    grad_x = _empty_like(x)
    batch, channels = x.shape[:2]
    # One row of sums for each (element, channel), added up below in a fixed order: the same bits for any threads.
    grads = np.empty((batch, channels, 2 * h0.shape[1] + w.shape[1]))
    if _channels_last(x):
        kernel, units = cpu_kernels.backward_channels_last, batch * -(-channels // cpu_kernels.BLOCK)
    else:
        kernel, units = cpu_kernels.backward, batch * channels
    sequences = _dense([x, grad_y, grad_x], like=x)
    args = [*_patterns(x, h0, memory, cpu_kernels.GROUP), *sequences, *_filters(h0, h1, w, memory), grads]
    parallel(kernel, units, 3 * _work(x, h0, w), args)
    return grad_x, *_parameter_gradients(grads.sum(axis=0), h0.shape[1], sequences[0].dtype)


torch.library.impl("multiresconv::cpu_forward", "cpu", _forward)
torch.library.impl("multiresconv::cpu_backward", "cpu", _backward)


@torch.library.register_fake("multiresconv::cpu_forward")
def _(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> Tensor:
    return _empty_like(x)


@torch.library.register_fake("multiresconv::cpu_backward")
def _(
    grad_y: Tensor, x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return _empty_like(x), h0.new_empty(h0.shape), h1.new_empty(h1.shape), w.new_empty(w.shape)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.memory = inputs
    ctx.save_for_backward(*tensors)


def _backward_formula(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
    return *torch.ops.multiresconv.cpu_backward.default(grad_y, *ctx.saved_tensors, ctx.memory), None


def _no_second_derivative(ctx: Any, *grads: Tensor) -> None:
    # Without this, PyTorch would take second derivatives for zero.
    raise RuntimeError("backend: 'cpu' is differentiable once; name 'reference' for second derivatives")


torch.library.register_autograd("multiresconv::cpu_forward", _backward_formula, setup_context=_save_for_backward)
torch.library.register_autograd("multiresconv::cpu_backward", _no_second_derivative)


def _channels_last(x: Tensor) -> bool:
    """Whether (B, D, L) is better read as (B, L, D): neighbours in memory are channels, not steps."""
    return x.stride(1) < x.stride(2) and x.shape[1] > 1


def _empty_like(x: Tensor) -> Tensor:
    """Uninitialised (B, D, L), dense, in the order of axes that x has in memory."""
    batch, channels, length = x.shape
    if _channels_last(x):
        return x.new_empty(batch, length, channels).transpose(1, 2)
    return x.new_empty(batch, channels, length)


def _dense(tensors: Sequence[Tensor], *, like: Tensor) -> list[np.ndarray]:
    """Tensors (B, D, L) as C-contiguous arrays, (B, L, D) where `like` has its channels last; copied only if needed."""
    if _channels_last(like):
        return [_array(t.transpose(1, 2)) for t in tensors]
    return [_array(t) for t in tensors]


def _array(t: Tensor) -> np.ndarray:
    return t.contiguous().numpy(force=True)


def _forward_long(x: Tensor, h0: Tensor, w: Tensor, memory: Sequence[int], parts: list[Any]) -> Tensor:
    """As `_forward`, in the parts that `_parts` tells."""
    from multiresconv.ops.cpu.kernels import long_rows as long_kernels
    from multiresconv.ops.cpu.kernels import operator as cpu_kernels

    (x_,) = _sequences([x], like=x)
    y = np.empty_like(x_)  # in large pages, unlike PyTorch's: to take small ones lasts as long as a few scales
    units = x_.shape[0] * -(-x_.shape[2] // cpu_kernels.BLOCK)
    args = [*_patterns(x, h0, memory, cpu_kernels.GROUP), x_, y, *parts]
    parallel(long_kernels.forward_long, units, _work(x, h0, w), args)
    return _tensor(y, like=x)


def _backward_long(
    grad_y: Tensor, x: Tensor, h0: Tensor, w: Tensor, memory: Sequence[int], parts: list[Any]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from multiresconv.ops.cpu.kernels import long_rows as long_kernels
    from multiresconv.ops.cpu.kernels import operator as cpu_kernels

    x_, grad_y_ = _sequences([x, grad_y], like=x)
    grad_x = np.empty_like(x_)
    batch, channels, taps = *x.shape[:2], 2 * h0.shape[1]
    fine, coarse = (np.empty((batch * channels, taps + weights.shape[1])) for weights in parts[2:4])
    units = x_.shape[0] * -(-x_.shape[2] // cpu_kernels.BLOCK)
    args = [*_patterns(x, h0, memory, cpu_kernels.GROUP), x_, grad_y_, grad_x, *parts, fine, coarse]
    parallel(long_kernels.backward_long, units, 3 * _work(x, h0, w), args)
    # both parts have the taps, one has w_a and the coarse scales' weights, the other the fine scales' weights and w_x
    grads = np.hstack([fine[:, :taps] + coarse[:, :taps], coarse[:, taps:-1], fine[:, taps + 1 :]])
    sums = grads.reshape(batch, channels, -1).sum(axis=0)
    return _tensor(grad_x, like=x), *_parameter_gradients(sums, h0.shape[1], x_.dtype)


def _parts(h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int], length: int) -> list[Any]:
    """What kernels of long rows take beside sequences: filters and memory, fine and coarse, and the sizes of tiles.

    Empty where a row is better worked on as a whole.
    """
    from multiresconv.ops.cpu.kernels import long_rows as long_kernels

    fine, halo = long_kernels.fine_scales(memory, h0.shape[1], length)
    if fine == 0:
        return []
    lo, hi, weights, counts = _filters(h0, h1, w, memory)
    zero, at = np.zeros_like(weights[:, :1]), 1 + sum(memory[:-fine])
    w_fine, w_coarse = np.hstack([zero, weights[:, at:]]), np.hstack([weights[:, :at], zero])
    return [lo, hi, w_fine, w_coarse, counts[-fine:], counts[:-fine], long_kernels.TILE, halo]


def _sequences(tensors: Sequence[Tensor], *, like: Tensor) -> list[np.ndarray]:
    """Tensors (B, D, L) as the kernels of long rows take them: (B * D, L, 1), or, as `_dense`, (B, L, D)."""
    arrays = _dense(tensors, like=like)
    return arrays if _channels_last(like) else [array.reshape(-1, array.shape[2], 1) for array in arrays]


def _tensor(sequences: np.ndarray, *, like: Tensor) -> Tensor:
    """The inverse of `_sequences`."""
    t = torch.from_numpy(sequences)
    return t.transpose(1, 2) if _channels_last(like) else t.view(like.shape)


def _parameter_gradients(sums: np.ndarray, taps: int, dtype: np.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of h0, h1 and w from those (D, 2K + width of w) of lo, hi and w."""
    parts = sums[:, :taps][:, ::-1], sums[:, taps : 2 * taps][:, ::-1], sums[:, 2 * taps :]
    grad_h0, grad_h1, grad_w = (torch.from_numpy(part.astype(dtype, order="C")) for part in parts)
    return grad_h0, grad_h1, grad_w


def _filters(h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> list[np.ndarray]:
    """The operator's parameters as its kernels take them, taps newest first."""
    return [h0.numpy(force=True)[:, ::-1].copy(), h1.numpy(force=True)[:, ::-1].copy(), _array(w), _counts(*memory)]


@functools.cache
def _counts(*memory: int) -> np.ndarray:
    return np.array(memory, np.int64)


def _patterns(x: Tensor, h0: Tensor, memory: Sequence[int], group: int) -> tuple[tuple, tuple | None]:
    """Tuples of zeros whose lengths tell the kernels, in their types, how many taps to take at first and in a group.

    No group where the first taps are all and every scale keeps one coefficient.
    """
    taps = h0.shape[1]
    fading = taps <= group and all(kept == 1 for kept in memory)
    return _zeros(x.dtype, min(taps, group)), None if fading else _zeros(x.dtype, group)


@functools.cache
def _zeros(dtype: torch.dtype, count: int) -> tuple:
    return (torch.zeros((), dtype=dtype).numpy()[()],) * count


def _work(x: Tensor, h0: Tensor, w: Tensor) -> int:
    """Multiply-adds of a forward pass, roughly."""
    return x.numel() * 2 * h0.shape[1] * w.shape[1]
