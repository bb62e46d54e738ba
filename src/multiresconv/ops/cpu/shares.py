"""Shares of `ops.shares` with Numba kernels, on several threads.

The kernels are compiled on first use and cached on disk. Importing this module does not import Numba.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from multiresconv.ops.cpu.threads import parallel

if TYPE_CHECKING:
    from multiresconv.ops.shares import Bank


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


class Counts:
    """The counts of one sequence so far, and the past of its coefficients.

    Args:
        bank: the filters and thresholds.

    Attributes:
        steps: number of steps so far.
    """

    def __init__(self, bank: "Bank") -> None:
        filters, depth, _, count = bank.thresholds.shape
        taps = bank.h0.shape[1]
        self.steps = 0
        self._parameters = [bank.mix.T.copy(), *(h.T.copy() for h in _taps(bank))]
        self._parameters.append(np.moveaxis(bank.thresholds, 0, -1).copy())
        self._lines = np.zeros(((taps - 1) * (2**depth - 1), filters), np.float32)
        self._before = np.full((depth, 2, filters), -np.inf, np.float32)
        self._counts = np.zeros((depth, 2, 3, count, filters))

    def advance(self, x: NDArray[np.float32]) -> None:
        """Count the next steps x (C, n)."""
        from multiresconv.ops.cpu.kernels import shares as kernels

        args = [x.T.copy(), self.steps, self._lines, self._before, self._counts, *self._parameters]
        work = x.shape[1] * self._counts[:, :, 0].size * (3 + self._parameters[1].shape[0])
        parallel(kernels.advance, -(-self._lines.shape[1] // kernels.BLOCK), work, args)
        self.steps += x.shape[1]

    def shares(self) -> NDArray[np.float32]:
        """Return the shares of all steps so far, (F, J, 2, 3, T)."""
        n = float(self.steps)
        totals = np.array([n, n, 0.5 * n * (n + 1)])[:, None, None]
        return np.ascontiguousarray(np.moveaxis(self._counts / totals, -1, 0), np.float32)


def _joined(sequences: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    starts = np.cumsum([0, *(x.shape[1] for x in sequences)], dtype=np.int64)
    return np.ascontiguousarray(np.concatenate(sequences, axis=1)), starts


def _taps(bank: "Bank") -> list[NDArray[np.float32]]:
    """Return h0 and h1 with the newest tap first."""
    return [np.ascontiguousarray(h[:, ::-1]) for h in (bank.h0, bank.h1)]
