"""Memory for large tensors that is reused from step to step.

The C library returns the activations of a training step to the system and requests them again in the next step. The
system then zeroes every page, which takes up to a sixth of a step. Buffers from this module stay with the process, as
in PyTorch's caching allocator for GPUs.
"""

import threading
import weakref
from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

SMALL = 1 << 20  # bytes; smaller tensors come from the C library, which handles them well
_ALIGNMENT = 64  # a cache line

_lock = threading.RLock()  # reentrant: a thread may return a buffer while it is taking another
_idle: list[np.ndarray] = []
_taken = 0  # bytes
_most_taken = 0


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return an uninitialised CPU tensor, as `torch.empty` does, in memory that is reused.

    The memory becomes idle when the last tensor that shares it is gone. Used and idle memory together stay within 1.25
    times the most that was ever in use at once.
    """
    size = prod(shape) * dtype.itemsize
    if size < SMALL:
        return torch.empty(shape, dtype=dtype, device="cpu")
    memory = _take(size + _ALIGNMENT)
    start = -memory.ctypes.data % _ALIGNMENT
    tensor_bytes = memory[start : start + size]
    weakref.finalize(tensor_bytes, _give_back, memory).atexit = False
    return torch.from_numpy(tensor_bytes).view(dtype).view(torch.Size(shape))


def _take(size: int) -> np.ndarray:
    """Return idle memory of at least `size` and at most 1.25 * `size` bytes, or new memory."""
    global _taken, _most_taken
    with _lock:
        fitting = [i for i, memory in enumerate(_idle) if size <= len(memory) <= size + size // 4]
        best = min(fitting, key=lambda i: len(_idle[i]), default=None)
        memory = np.empty(size, np.uint8) if best is None else _idle.pop(best)
        _taken += len(memory)
        _most_taken = max(_most_taken, _taken)
        while _idle and _taken + sum(map(len, _idle)) > _most_taken + _most_taken // 4:
            _idle.pop(0)  # idle for the longest time
        return memory


def _give_back(memory: np.ndarray) -> None:
    global _taken
    with _lock:
        _taken -= len(memory)
        _idle.append(memory)


def release() -> None:
    """Return all idle memory to the system."""
    with _lock:
        _idle.clear()
