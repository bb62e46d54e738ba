"""Streaming of the operator with a Numba kernel, without gradients.

The kernel is compiled on first use and cached on disk. Importing this module does not import Numba.
"""

import numpy as np
import torch
from torch import Tensor

from multiresconv.ops.cpu.arrays import array
from multiresconv.ops.cpu.threads import parallel


def advance_cpu(
    x: Tensor, lines: Tensor, position: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]
) -> Tensor:
    """Return y (B, L, D) of the next steps x (B, L, D); update `lines` (B, S, D), whose rows are dense, in place."""
    from multiresconv.ops.cpu.kernels import streaming as streaming_kernels

    batch, length, channels = x.shape
    y = torch.empty(batch, length, channels, dtype=x.dtype, device="cpu")
    rows = [lines.data_ptr(), lines.stride(0) * lines.element_size(), lines.shape[1]]
    parameters = [array(h0), array(h1), array(w), np.array(memory, np.int64)]
    units = batch * -(-channels // streaming_kernels.BLOCK)
    work = 2 * x.numel() * h0.shape[1] * w.shape[1]
    parallel(streaming_kernels.advance, units, work, [array(x), array(y), *rows, array(position), *parameters])
    return y
