"""`FeatureCounter`: counts the untrained features of one sequence that arrives step by step, in NumPy."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.layers.missing import hold_last
from multiresconv.ops.cpu.arrays import array
from multiresconv.ops.cpu.shares import Counter
from multiresconv.ops.shares import Bank, Counts, shares_of


class Arrays(NamedTuple):
    """The buffers of `MultiresFeatures` as arrays, and what counts with them."""

    bank: Bank
    counter: Counter
    mean: NDArray[np.float32]  # (C, 1)
    std: NDArray[np.float32]  # (C, 1)

    def filled(self, x: NDArray[np.float32], last: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return x (C, n) standardised, missing values replaced by the last good one; `last` (C,) comes before x."""
        return hold_missing((x - self.mean) / self.std, last)


class FeatureCounter:
    """The features of one sequence that arrives step by step, in NumPy; made by `MultiresFeatures.counter`.

    Args:
        arrays: filters, thresholds and standardisation.
        mask_missing: the share of missing values of each channel is a feature too.
        counts, last, missing: arrays of a row of `MultiresFeatures.init_state`; changed in place.
        steps: number of steps so far.
    """

    def __init__(
        self,
        arrays: Arrays,
        mask_missing: bool,
        counts: Counts,
        last: NDArray[np.float32],
        missing: NDArray[np.int64],
        steps: int,
    ) -> None:
        self.steps = steps
        self._arrays, self._mask_missing = arrays, mask_missing
        self._counts, self._last, self._missing = counts, last, missing

    def advance(self, x: NDArray[np.float32]) -> None:
        """Count the next steps x (C, n), NaN where a value is missing."""
        filled = self._arrays.filled(x, self._last)
        self._arrays.counter.advance(filled, self.steps, self._counts)
        self._last[:] = filled[:, -1]
        self._missing += np.isnan(x).sum(1)
        self.steps += x.shape[1]

    def features(self) -> NDArray[np.float32]:
        """Return the features (n_features,) of the steps so far, of which there is at least one."""
        found = shares_of(self._counts.totals, self.steps).ravel()
        return np.concatenate([found, share(self._missing, self.steps)]) if self._mask_missing else found


def hold_missing(x: NDArray[np.float32], last: NDArray[np.float32]) -> NDArray[np.float32]:
    """As `hold_last`, of one sequence x (C, n); `last` (C,) is what to take before the first good value."""
    if not np.isnan(x).any():
        return x
    return hold_last(torch.from_numpy(x.T)[None], torch.from_numpy(last)[None, None])[0].numpy().T


def as_channels(x: Tensor) -> NDArray[np.float32]:
    """Return a sequence (n, C) as an array (C, n)."""
    return np.ascontiguousarray(array(x.detach().cpu().float()).T)


def share(count: NDArray[np.integer], length: int) -> NDArray[np.float32]:
    return (count / length).astype(np.float32)
