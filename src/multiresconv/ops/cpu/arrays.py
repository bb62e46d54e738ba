"""Convert tensors to the arguments of the kernels: arrays, taps newest first, and patterns for loop unrolling."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_TYPES = {getattr(torch, name): np.dtype(name).str for name in ("float32", "float64", "int64", "uint16")}


class _Memory:
    """The memory of a contiguous tensor, by NumPy's array interface.

    `Tensor.numpy` would forbid PyTorch to resize the storage from then on, which is the caller's: FSDP2 frees and
    refills the storages of parameters, and `out=` may grow one.
    """

    __slots__ = ("__array_interface__", "_tensor")

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor  # keeps the memory
        self.__array_interface__ = {
            "version": 3,
            "shape": tuple(tensor.shape),
            "typestr": _TYPES[tensor.dtype],
            "data": (tensor.data_ptr(), False),
        }


def array(t: Tensor) -> np.ndarray:
    """Return a CPU tensor as a C-contiguous array, copied only if needed: float32, float64, int64 or uint16."""
    return np.asarray(_Memory(t.resolve_neg().contiguous()))


def bits(t: Tensor) -> np.ndarray:
    """Return t as a C-contiguous array; bfloat16, which NumPy lacks, is viewed as uint16."""
    return array(t.view(torch.uint16) if t.dtype == torch.bfloat16 else t)


def scalar(value: float, like: Tensor) -> Any:
    """Return `value` as a NumPy scalar in the dtype of `like`, so that kernels do not promote to float64."""
    return np.array(value, array(like[:0]).dtype)[()]


def filters(h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> list[np.ndarray]:
    """Return [lo, hi, w, memory] as the kernels of the operator take them, taps newest first."""
    return [array(h0)[:, ::-1].copy(), array(h1)[:, ::-1].copy(), array(w), _counts(*memory)]


def parameter_gradients(sums: np.ndarray, taps: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of h0, h1 and w as copies, from `sums` (D, 2K + width of w), those of lo, hi and w."""
    parts = sums[:, :taps][:, ::-1], sums[:, taps : 2 * taps][:, ::-1], sums[:, 2 * taps :]
    h0, h1, w = (torch.from_numpy(part.copy()).to(dtype) for part in parts)
    return h0, h1, w


@functools.cache
def _counts(*memory: int) -> np.ndarray:
    return np.array(memory, np.int64)


def patterns(dtype: torch.dtype, taps: int, memory: Sequence[int], group: int) -> tuple[tuple, tuple | None]:
    """Return the kernels' arguments `first` and `group`: tuples of zeros whose lengths are part of their types.

    The lengths are the number of taps in the first pass over a row and in each later one. `group` is None if one pass
    takes all taps and every scale keeps one coefficient.
    """
    fading = taps <= group and all(kept == 1 for kept in memory)
    return _zeros(dtype, min(taps, group)), None if fading else _zeros(dtype, group)


@functools.cache
def _zeros(dtype: torch.dtype, count: int) -> tuple:
    return (torch.zeros((), dtype=dtype, device="cpu").numpy()[()],) * count


def work(x: Tensor, h0: Tensor, w: Tensor) -> int:
    """Return the approximate number of multiply-adds of a forward pass."""
    return x.numel() * 2 * h0.shape[1] * w.shape[1]
