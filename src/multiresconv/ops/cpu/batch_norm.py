"""Batch norm over the valid steps as PyTorch operators on the CPU: two passes over memory forward, two backward."""

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from multiresconv.ops.cpu.buffers import empty
from multiresconv.ops.cpu.operator import _array, _no_second_derivative
from multiresconv.ops.cpu.threads import parallel


def moments(x: Tensor, lengths: Tensor) -> Tensor:
    """Of every element of x (B, D, L): sum and sum of squares about its mean, over lengths (B,) steps, (B, D, 2).

    In float64, without a gradient: that of `normalise` takes into account what mean and variance owe to x.
    """
    return torch.ops.multiresconv.moments.default(x.detach(), lengths)


def normalise(
    x: Tensor, lengths: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, scale: Tensor, share: Tensor, shared: bool
) -> Tensor:
    """(x - mean) * scale * weight + bias at the valid steps of x (B, D, L), 0 at the others; differentiable once.

    Args:
        x: (B, D, L), float32 or float64; weight and bias (D,) of its dtype.
        lengths: (B,) integers in 1..L.
        mean: (D,) float64, of x.
        scale: (D,) float64, reciprocal standard deviation of x.
        share: () float64, the part of mean and variance that one step of x makes, 1 / (number of valid steps); 0 where
            they are constants.
        shared: whether they are those of the batches of all processes of `torch.distributed`.
    """
    return torch.ops.multiresconv.normalise.default(x, lengths, weight, bias, mean, scale, share, shared)


torch.library.define("multiresconv::moments", "(Tensor x, Tensor lengths) -> Tensor")
torch.library.define(
    "multiresconv::normalise",
    "(Tensor x, Tensor lengths, Tensor weight, Tensor bias, Tensor mean, Tensor scale, Tensor share, bool shared)"
    " -> Tensor",
)
torch.library.define(
    "multiresconv::gradient_sums", "(Tensor grad, Tensor x, Tensor lengths, Tensor mean) -> (Tensor, Tensor)"
)
torch.library.define(
    "multiresconv::normalise_backward",
    "(Tensor grad, Tensor x, Tensor lengths, Tensor mean, Tensor factor, Tensor constant, Tensor slope) -> Tensor",
)


@torch.library.impl("multiresconv::moments", "cpu")
def _(x: Tensor, lengths: Tensor) -> Tensor:
    from multiresconv.ops.cpu.kernels import batch_norm as batch_norm_kernels

    sums = torch.empty(*x.shape[:2], 2, dtype=torch.float64)
    _run(batch_norm_kernels.moments, x, [_array(x), _array(lengths), _array(sums)])
    return sums


@torch.library.impl("multiresconv::normalise", "cpu")
def _(
    x: Tensor, lengths: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, scale: Tensor, share: Tensor, shared: bool
) -> Tensor:
    from multiresconv.ops.cpu.kernels import batch_norm as batch_norm_kernels

    out = empty(x.shape, x.dtype)
    factor = (scale * weight).to(x.dtype)
    args = [_array(t) for t in (x, lengths, mean.to(x.dtype), factor, bias, out)]
    _run(batch_norm_kernels.normalise, x, args)
    return out


@torch.library.impl("multiresconv::gradient_sums", "cpu")
def _(grad: Tensor, x: Tensor, lengths: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    from multiresconv.ops.cpu.kernels import batch_norm as batch_norm_kernels

    sums = np.empty((*x.shape[:2], 2))
    _run(batch_norm_kernels.gradient_sums, x, [_array(t) for t in (grad, x, lengths, mean.to(x.dtype))] + [sums])
    total, along = torch.from_numpy(sums.sum(axis=0)).unbind(1)
    return total.clone(), along.clone()


@torch.library.impl("multiresconv::normalise_backward", "cpu")
def _(
    grad: Tensor, x: Tensor, lengths: Tensor, mean: Tensor, factor: Tensor, constant: Tensor, slope: Tensor
) -> Tensor:
    from multiresconv.ops.cpu.kernels import batch_norm as batch_norm_kernels

    out = empty(x.shape, x.dtype)
    per_channel = [t.to(x.dtype) for t in (mean, factor, constant, slope)]
    args = [_array(t) for t in (grad, x, lengths, *per_channel, out)]
    _run(batch_norm_kernels.normalise_backward, x, args)
    return out


def _run(kernel: Any, x: Tensor, args: list[Any]) -> None:
    parallel(kernel, x.shape[0] * x.shape[1], 8 * x.numel(), args)


@torch.library.register_fake("multiresconv::moments")
def _(x: Tensor, lengths: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:2], 2, dtype=torch.float64)


@torch.library.register_fake("multiresconv::normalise")
def _(x: Tensor, *others: Any) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.register_fake("multiresconv::gradient_sums")
def _(grad: Tensor, x: Tensor, lengths: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    return mean.new_empty(mean.shape), mean.new_empty(mean.shape)


@torch.library.register_fake("multiresconv::normalise_backward")
def _(grad: Tensor, x: Tensor, *others: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, lengths, weight, _, mean, scale, share, ctx.shared = inputs
    ctx.save_for_backward(x, lengths, weight, mean, scale, share)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, lengths, weight, mean, scale, share = ctx.saved_tensors
    total, along = torch.ops.multiresconv.gradient_sums.default(grad, x, lengths, mean)
    grad_weight, grad_bias = (along * scale).to(weight.dtype), total.to(weight.dtype)
    sums = torch.stack([total, along])
    if ctx.shared:  # every process' loss depends on these statistics
        dist.all_reduce(sums)
    constant, slope = sums[0] * share, sums[1] * share * scale.square()
    backward = torch.ops.multiresconv.normalise_backward.default
    grad_x = backward(grad, x, lengths, mean, scale * weight, constant, slope)
    return grad_x, None, grad_weight, grad_bias, None, None, None, None


torch.library.register_autograd("multiresconv::normalise", _gradients, setup_context=_save_for_backward)
torch.library.register_autograd("multiresconv::normalise_backward", _no_second_derivative)
torch.library.register_autograd("multiresconv::gradient_sums", _no_second_derivative)
