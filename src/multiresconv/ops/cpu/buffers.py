"""Memory for large tensors that is used again, step after step.

The C library gives the activations of a training step back to the system and takes them again in the next one, page by
page, each of which the system fills with zeros: up to a sixth of a step. What is taken here stays with the process
instead, as what PyTorch takes on a GPU does.
"""

import threading
import weakref
from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

SMALL = 1 << 20  # bytes: below, the C library does well
_ALIGNMENT = 64  # a cache line

_lock = threading.RLock()  # a buffer may come back while another is being taken, in the same thread
_idle: list[np.ndarray] = []
_taken = 0  # bytes
_most_taken = 0


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """As `torch.empty`, on the CPU; the memory comes back here when the last tensor that shares it is gone.

    Idle memory is kept, all in all up to a quarter more than was ever in use at once.
    """
    size = prod(shape) * dtype.itemsize
    if size < SMALL:
        return torch.empty(shape, dtype=dtype)
    memory = _take(size + _ALIGNMENT)
    start = -memory.ctypes.data % _ALIGNMENT
    tensor_bytes = memory[start : start + size]
    weakref.finalize(tensor_bytes, _give_back, memory).atexit = False
    return torch.from_numpy(tensor_bytes).view(dtype).view(torch.Size(shape))


def _take(size: int) -> np.ndarray:
    """Idle memory of at most a quarter more bytes, or new."""
    global _taken, _most_taken
    with _lock:
        fitting = [i for i, memory in enumerate(_idle) if size <= len(memory) <= size + size // 4]
        best = min(fitting, key=lambda i: len(_idle[i]), default=None)
        memory = np.empty(size, np.uint8) if best is None else _idle.pop(best)
        _taken += len(memory)
        _most_taken = max(_most_taken, _taken)
        while _idle and _taken + sum(map(len, _idle)) > _most_taken + _most_taken // 4:
            _idle.pop(0)  # what has been idle longest
        return memory


def _give_back(memory: np.ndarray) -> None:
    global _taken
    with _lock:
        _taken -= len(memory)
        _idle.append(memory)


def release() -> None:
    """Give all idle memory back to the system."""
    with _lock:
        _idle.clear()
