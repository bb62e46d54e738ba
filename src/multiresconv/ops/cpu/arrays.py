"""From tensors to what the kernels take: arrays, taps newest first, and patterns that tell them how much to unroll."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def array(t: Tensor) -> np.ndarray:
    """t as a C-contiguous array, copied only if needed."""
    return t.contiguous().numpy(force=True)


def bits(t: Tensor) -> np.ndarray:
    """t as the kernels see it: bfloat16, which NumPy lacks, as uint16."""
    return array(t.view(torch.uint16) if t.dtype == torch.bfloat16 else t)


def scalar(value: float, like: Tensor) -> Any:
    """`value` as a number of the dtype of `like`, so that it promotes nothing."""
    return np.array(value, array(like[:0]).dtype)[()]


def filters(h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> list[np.ndarray]:
    """The operator's parameters as its kernels take them, taps newest first."""
    return [h0.numpy(force=True)[:, ::-1].copy(), h1.numpy(force=True)[:, ::-1].copy(), array(w), _counts(*memory)]


def parameter_gradients(sums: np.ndarray, taps: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of h0, h1 and w from those (D, 2K + width of w) of lo, hi and w, in memory of their own."""
    parts = sums[:, :taps][:, ::-1], sums[:, taps : 2 * taps][:, ::-1], sums[:, 2 * taps :]
    h0, h1, w = (torch.from_numpy(part.copy()).to(dtype) for part in parts)
    return h0, h1, w


@functools.cache
def _counts(*memory: int) -> np.ndarray:
    return np.array(memory, np.int64)


def patterns(dtype: torch.dtype, taps: int, memory: Sequence[int], group: int) -> tuple[tuple, tuple | None]:
    """Tuples of zeros whose lengths tell the kernels, in their types, how many taps to take at first and in a group.

    No group where the first taps are all and every scale keeps one coefficient.
    """
    fading = taps <= group and all(kept == 1 for kept in memory)
    return _zeros(dtype, min(taps, group)), None if fading else _zeros(dtype, group)


@functools.cache
def _zeros(dtype: torch.dtype, count: int) -> tuple:
    return (torch.zeros((), dtype=dtype).numpy()[()],) * count


def work(x: Tensor, h0: Tensor, w: Tensor) -> int:
    """Multiply-adds of a forward pass, roughly."""
    return x.numel() * 2 * h0.shape[1] * w.shape[1]
