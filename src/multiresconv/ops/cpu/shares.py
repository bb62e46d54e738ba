"""Shares of `ops.shares` with Numba kernels, on several threads.

The kernels are compiled on first use and cached on disk. Importing this module does not import Numba.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from multiresconv.ops.cpu.threads import parallel

if TYPE_CHECKING:
    from multiresconv.ops.shares import Bank, Counts


def pool(sequences: Sequence[NDArray[np.float32]], bank: "Bank") -> NDArray[np.float32]:
    """Return the shares of sequences (C, L_i): (N, F, J, 2, 3, T)."""
    from multiresconv.ops.cpu.kernels import shares as kernels

    x, starts = _joined(sequences)
    filters, depth, _, count = bank.thresholds.shape
    out = np.empty((len(sequences), filters, depth, 2, 3, count), np.float32)
    args = [x, starts, bank.mix, *_taps(bank), bank.thresholds, out]
    # a comparison costs about a multiply-add, and there are three of them per threshold
    per_step = filters * depth * 2 * (bank.h0.shape[1] + 3 * count)
    parallel(kernels.pool, len(sequences) * filters, x.shape[1] * per_step, args)
    return out


def coefficients(sequences: Sequence[NDArray[np.float32]], bank: "Bank", f: int, depth: int) -> NDArray[np.float32]:
    """Return the coefficients a_j and b_j of filter f on each sequence, (J, 2, sum of L_i)."""
    from multiresconv.ops.cpu.kernels import shares as kernels

    x, starts = _joined(sequences)
    out = np.empty((depth, 2, x.shape[1]), np.float32)
    which = np.full(len(sequences), f)
    kernels.coefficients(x, starts, bank.mix, *_taps(bank), which, out, 0, len(sequences))
    return out


class Counter:
    """Counts sequences that arrive step by step, in arrays that the caller keeps.

    Args:
        bank: the filters and thresholds.
    """

    def __init__(self, bank: "Bank") -> None:
        self._parameters = [bank.mix.T.copy(), *(h.T.copy() for h in _taps(bank))]
        self._parameters.append(np.moveaxis(bank.thresholds, 0, -1).copy())

    def advance(self, x: NDArray[np.float32], steps: int, counts: "Counts") -> None:
        """Count the next steps x (C, n) of a sequence that has had `steps`; changes `counts` in place."""
        from multiresconv.ops.cpu.kernels import shares as kernels

        args = [x.T.copy(), steps, *counts, *self._parameters]
        work = x.shape[1] * counts.totals[:, :, 0].size * (3 + self._parameters[1].shape[0])
        parallel(kernels.advance, -(-counts.lines.shape[1] // kernels.BLOCK), work, args)


def _joined(sequences: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    starts = np.cumsum([0, *(x.shape[1] for x in sequences)], dtype=np.int64)
    return np.ascontiguousarray(np.concatenate(sequences, axis=1)), starts


def _taps(bank: "Bank") -> list[NDArray[np.float32]]:
    """Return h0 and h1 with the newest tap first."""
    return [np.ascontiguousarray(h[:, ::-1]) for h in (bank.h0, bank.h1)]
