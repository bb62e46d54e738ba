"""The `cpu` backend: Numba kernels as PyTorch operators, spread over threads.

The kernels are compiled on their first use and cached on disk; importing this module compiles nothing and does not
import Numba.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Multiply-adds below which a second thread costs more than it brings.
_SERIAL_WORK = 1 << 20


def multires_conv_cpu(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]) -> Tensor:
    """y of `multires_conv`; shapes as in `multires_conv_reference`. Differentiable once."""
    return torch.ops.multiresconv.cpu_forward.default(x, h0, h1, w, memory)


# `torch.library.custom_op` would say this in less, but its first call imports torch._dynamo, for a second.
torch.library.define("multiresconv::cpu_forward", "(Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory) -> Tensor")
torch.library.define(
    "multiresconv::cpu_backward",
    "(Tensor grad_y, Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory) -> (Tensor, Tensor, Tensor, Tensor)",
)


def _forward(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> Tensor:
    from multiresconv.ops import cpu_kernels

    y = _empty_like(x)
    if _channels_last(x):
        kernel, units = cpu_kernels.forward_channels_last, x.shape[0] * -(-x.shape[1] // cpu_kernels.BLOCK)
    else:
        kernel, units = cpu_kernels.forward, x.shape[0] * x.shape[1]
    args = [
        _dense(x, like=x),
        _dense(y, like=x),
        _array(h0.flip(1)),
        _array(h1.flip(1)),
        _array(w),
        np.array(memory, np.int64),
    ]
    parallel(kernel, units, _work(x, h0, w), [*_patterns(x, h0, cpu_kernels.GROUP), *args])
    return y


def _backward(
    grad_y: Tensor, x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from multiresconv.ops import cpu_kernels

    grad_x = _empty_like(x)
    batch, channels = x.shape[:2]
    # One row of sums for each (element, channel), added up below in a fixed order: the same bits for any threads.
    grads = np.empty((batch, channels, 2 * h0.shape[1] + w.shape[1]))
    if _channels_last(x):
        kernel, units = cpu_kernels.backward_channels_last, batch * -(-channels // cpu_kernels.BLOCK)
    else:
        kernel, units = cpu_kernels.backward, batch * channels
    args = [_dense(t, like=x) for t in (x, grad_y, grad_x)]
    args += [_array(h0.flip(1)), _array(h1.flip(1)), _array(w), np.array(memory, np.int64), grads]
    parallel(kernel, units, 3 * _work(x, h0, w), [*_patterns(x, h0, cpu_kernels.GROUP), *args])
    total = torch.from_numpy(grads.sum(axis=0)).to(x.dtype)
    grad_h0, grad_h1, grad_w = total.split([h0.shape[1], h0.shape[1], w.shape[1]], dim=1)
    return grad_x, grad_h0.flip(1), grad_h1.flip(1), grad_w.clone(memory_format=torch.contiguous_format)


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


def _dense(t: Tensor, *, like: Tensor) -> np.ndarray:
    """t (B, D, L) as a C-contiguous array, (B, L, D) where `like` has its channels last; copied only if it must be."""
    return _array(t.transpose(1, 2) if _channels_last(like) else t)


def _array(t: Tensor) -> np.ndarray:
    return t.detach().contiguous().numpy()


def _patterns(x: Tensor, h0: Tensor, group: int) -> tuple[tuple, tuple]:
    """Tuples of zeros whose lengths tell the kernels, in their types, how many taps to take at first and in a group."""
    zero = np.zeros((), _array(x[:0]).dtype)[()]
    return (zero,) * min(h0.shape[1], group), (zero,) * group


def _work(x: Tensor, h0: Tensor, w: Tensor) -> int:
    """Multiply-adds of a forward pass, roughly."""
    return x.numel() * 2 * h0.shape[1] * w.shape[1]


def parallel(kernel: Callable[..., None], units: int, work: int, args: list[Any]) -> None:
    """Call `kernel(*args, start, stop)` on pieces of range(units) from `torch.get_num_threads()` threads.

    The caller works too and takes pieces as they come, so it waits for no thread that others keep busy.
    """
    threads = min(torch.get_num_threads(), units, -(-work // _SERIAL_WORK))
    if threads <= 1:
        kernel(*args, 0, units)
        return
    pieces = min(units, 4 * threads)
    queue = itertools.count()  # next() on it is atomic

    def take() -> None:
        while (piece := next(queue)) < pieces:
            kernel(*args, piece * units // pieces, (piece + 1) * units // pieces)

    others = []
    try:
        with contextlib.suppress(RuntimeError):  # the interpreter is shutting down: no more threads
            others.extend(_pool().submit(take) for _ in range(threads - 1))
        take()
    finally:
        for other in others:
            if not other.cancel():  # one that has not begun has nothing left to do
                other.result()


_threads: ThreadPoolExecutor | None = None


def _pool() -> ThreadPoolExecutor:
    global _threads
    if _threads is None:  # two callers may get here at once; then one pool is dropped when its work is done
        _threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="multiresconv")
    return _threads


def _forget_pool() -> None:
    """A forked child inherits the pool object but none of its threads."""
    global _threads
    _threads = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
