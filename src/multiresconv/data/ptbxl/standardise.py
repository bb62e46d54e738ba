"""Standardise signals with one mean and one standard deviation for all leads."""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.data.ptbxl.split import PtbXlSplit

Signal = TypeVar("Signal", NDArray[np.float32], Tensor)


class Standardiser(NamedTuple):
    """A map of signals in mV to mean 0 and standard deviation 1."""

    mean: float
    std: float

    def __call__(self, signal: Signal) -> Signal:
        return (signal - self.mean) / self.std


def fit_standardiser(split: PtbXlSplit) -> Standardiser:
    """Compute the mean and standard deviation of a split (normally "train") over all samples of all leads.

    Raises:
        ValueError: all samples are equal.
    """
    n = sum(chunk.size for chunk in split.chunks())
    mean = sum(float(chunk.sum(dtype=np.float64)) for chunk in split.chunks()) / n
    variance = sum(float(np.square(chunk - mean, dtype=np.float64).sum()) for chunk in split.chunks()) / n
    if not variance:
        raise ValueError(f"split: expected samples that differ, all {n} are {mean}")
    return Standardiser(mean, variance**0.5)
