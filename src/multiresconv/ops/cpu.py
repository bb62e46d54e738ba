"""The `cpu` backend: Numba kernels as PyTorch operators, spread over threads.

The kernels are compiled on their first use and cached on disk; importing this module compiles nothing and does not
import Numba.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multiresconv.ops.threads import parallel


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
    args = [_dense(x, like=x), _dense(y, like=x), *_filters(h0, h1, w, memory)]
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
    args = [*(_dense(t, like=x) for t in (x, grad_y, grad_x)), *_filters(h0, h1, w, memory), grads]
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


def _filters(h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> list[np.ndarray]:
    """The operator's parameters as its kernels take them, taps newest first."""
    return [_array(h0.flip(1)), _array(h1.flip(1)), _array(w), np.array(memory, np.int64)]


def _patterns(x: Tensor, h0: Tensor, group: int) -> tuple[tuple, tuple]:
    """Tuples of zeros whose lengths tell the kernels, in their types, how many taps to take at first and in a group."""
    zero = np.zeros((), _array(x[:0]).dtype)[()]
    return (zero,) * min(h0.shape[1], group), (zero,) * group


def _work(x: Tensor, h0: Tensor, w: Tensor) -> int:
    """Multiply-adds of a forward pass, roughly."""
    return x.numel() * 2 * h0.shape[1] * w.shape[1]
