"""Batch norm over the valid steps with Numba kernels: two passes over memory forward, two backward."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from multiresconv.ops.cpu.arrays import array
from multiresconv.ops.cpu.buffers import empty
from multiresconv.ops.cpu.threads import parallel


def moments(x: Tensor, lengths: Tensor) -> Tensor:
    from multiresconv.ops.cpu.kernels import batch_norm as kernels

    sums = torch.empty(*x.shape[:2], 2, dtype=torch.float64, device="cpu")
    _run(kernels.moments, x, [array(x), array(lengths), array(sums)])
    return sums


def normalise(
    x: Tensor, lengths: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, scale: Tensor, share: Tensor, group: str
) -> Tensor:
    from multiresconv.ops.cpu.kernels import batch_norm as kernels

    out = empty(x.shape, x.dtype)
    factor = (scale * weight).to(x.dtype)
    args = [array(t) for t in (x, lengths, mean.to(x.dtype), factor, bias, out)]
    _run(kernels.normalise, x, args)
    return out


def gradient_sums(grad: Tensor, x: Tensor, lengths: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    from multiresconv.ops.cpu.kernels import batch_norm as kernels

    sums = np.empty((*x.shape[:2], 2))
    _run(kernels.gradient_sums, x, [array(t) for t in (grad, x, lengths, mean.to(x.dtype))] + [sums])
    total, along = torch.from_numpy(sums.sum(axis=0)).unbind(1)
    return total.clone(), along.clone()


def normalise_backward(
    grad: Tensor, x: Tensor, lengths: Tensor, mean: Tensor, factor: Tensor, constant: Tensor, slope: Tensor
) -> Tensor:
    from multiresconv.ops.cpu.kernels import batch_norm as kernels

    out = empty(x.shape, x.dtype)
    per_channel = [t.to(x.dtype) for t in (mean, factor, constant, slope)]
    args = [array(t) for t in (grad, x, lengths, *per_channel, out)]
    _run(kernels.normalise_backward, x, args)
    return out


def _run(kernel: Any, x: Tensor, args: list[Any]) -> None:
    parallel(kernel, x.shape[0] * x.shape[1], 8 * x.numel(), args)
