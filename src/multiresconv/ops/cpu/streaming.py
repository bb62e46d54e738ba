"""Streaming by Numba kernels: from tensors to the arrays and addresses that they take. Not for autograd.

The kernels are compiled on their first use and cached on disk; importing this module does not import Numba.
"""

from collections.abc import Sequence
from operator import is_
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from multiresconv.ops.cpu.threads import parallel
from multiresconv.ops.streaming_reference import line_sizes
from multiresconv.ops.tree import weight_size


def advance_cpu(
    x: Tensor, lines: Tensor, position: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]
) -> Tensor:
    """y (B, L, D) of the steps x (B, L, D), one by one; `lines` (B, S, D), of dense rows, come up to date in place."""
    from multiresconv.ops.cpu.kernels import streaming as streaming_kernels

    batch, length, channels = x.shape
    y = torch.empty(batch, length, channels, dtype=x.dtype)
    rows = [lines.data_ptr(), lines.stride(0) * lines.element_size(), lines.shape[1]]
    parameters = [_array(h0), _array(h1), _array(w), np.array(memory, np.int64)]
    units = batch * -(-channels // streaming_kernels.BLOCK)
    work = 2 * x.numel() * h0.shape[1] * w.shape[1]
    parallel(streaming_kernels.advance, units, work, [_array(x), y.numpy(), *rows, _array(position), *parameters])
    return y


class BlockTensors(NamedTuple):
    """What a block computes with: `tensors` h0, h1, w, then weight and bias of the map to 2D, of the norm and, where
    there is one, of the projection, then running mean and variance of a batch norm.
    """

    tensors: Sequence[Tensor]
    eps: float
    projection: bool
    batch_norm: bool
    memory: tuple[int, ...]


class CheckedBlocks(NamedTuple):
    """Blocks that `check_blocks` found fit for the kernel, which trusts the addresses of their tensors."""

    tensors: list[Tensor]
    addresses: list[int]
    options: list[tuple[object, ...]]
    slots: int
    arguments: tuple[object, ...]

    def are(self, blocks: Sequence[BlockTensors]) -> bool:
        """Whether these blocks are the checked ones, their tensors the same objects in the same memory.

        A tensor that changes comes to lie elsewhere, or is a view such as `p.data = p.data.t()`, which is looked for.
        """
        tensors = [t for block in blocks for t in block.tensors]
        return (
            self.options == [block[1:] for block in blocks]
            and all(map(is_, tensors, self.tensors))
            and self.addresses == list(map(Tensor.data_ptr, tensors))
            and all(map(Tensor.is_contiguous, tensors))
        )

    def take(self, x: Tensor, lines: Tensor) -> bool:
        """Whether x (B, D) and lines (B, blocks, S, D) go with these blocks."""
        h0, shape = self.tensors[0], (len(x), len(self.options), self.slots, x.shape[1])
        alike = x.is_cpu and x.dtype is h0.dtype is lines.dtype and len(h0) == x.shape[1]
        return alike and lines.shape == shape and lines.is_contiguous()

    def step(self, x: Tensor, lines: Tensor, position: Tensor) -> Tensor:
        """y (B, D) of one step x (B, D) in one kernel; `lines`, contiguous, come up to date in place."""
        from multiresconv.ops.cpu.kernels import streaming as streaming_kernels

        y = torch.empty(x.shape, dtype=x.dtype)
        streaming_kernels.step_blocks(_array(x), y.numpy(), lines.numpy(), _array(position), *self.arguments)
        return y


def check_blocks(blocks: Sequence[BlockTensors]) -> CheckedBlocks | None:
    """The blocks with what the kernel needs to know of them, or None where they are not for it.

    They are for it where they are alike and their tensors are plain, contiguous on the CPU, of one dtype, float32 or
    float64, and of the shapes that their places ask for.
    """
    _, _, projection, batch_norm, memory = blocks[0]
    tensors = [t for block in blocks for t in block.tensors]
    if not all(type(t) in (Tensor, Parameter) for t in tensors):  # a quantized one, say, has no values at its address
        return None
    (channels, kernel_size), dtype = tensors[0].shape, tensors[0].dtype
    taps, one = (channels, kernel_size), (channels,)
    shapes = [taps, taps, (channels, weight_size(memory)), (2 * channels, channels), (2 * channels,), one, one]
    shapes += [(channels, channels), one] * projection + [one, one] * batch_norm
    if (
        dtype not in (torch.float32, torch.float64)
        or any(block[2:] != blocks[0][2:] for block in blocks)
        or shapes * len(blocks) != [t.shape for t in tensors]
        or not all(t.dtype == dtype and t.is_cpu and t.is_contiguous() for t in tensors)
    ):
        return None
    addresses = [t.data_ptr() for t in tensors]
    table, eps = np.array(addresses).reshape(len(blocks), -1), np.array([block.eps for block in blocks])
    arguments = table, eps, kernel_size, np.array(memory), projection, batch_norm
    slots = sum(line_sizes(kernel_size, memory))
    return CheckedBlocks(tensors, addresses, [block[1:] for block in blocks], slots, arguments)


def _array(t: Tensor) -> np.ndarray:
    return t.detach().contiguous().numpy()
