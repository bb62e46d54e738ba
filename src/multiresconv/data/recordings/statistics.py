"""Statistics of the rows that a model is trained on."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.recordings.doubts import doubt_scales
from multiresconv.data.recordings.split import RecordingSplit

_SHARE = 1.0  # percent of the rows that may go below the usual range, and as many that may go above it
_DIGITS = 6  # significant, of the usual range
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)


class Statistics(NamedTuple):
    """Statistics of a split, missing values left out."""

    mean: NDArray[np.float64]  # (channels,)
    std: NDArray[np.float64]  # (channels,) 1 for a channel that is constant or has no value
    usual: tuple[tuple[float, float], ...]  # lowest and highest of each channel: 1 % of the rows go below, 1 % above it
    has_missing: bool  # True if a value is missing
    lengths: dict[float, int]  # quantile -> time steps of a row, from 0.0 (the shortest) to 1.0 (the longest)
    remarks: tuple[str, ...]  # channels that are constant or have no value, and doubts about the scale


def statistics_of(
    split: RecordingSplit, channels: Sequence[str], units: Sequence[str | None] | None = None
) -> Statistics:
    """Compute the statistics of a split, normally "train", in one pass and in float64.

    Args:
        split: at least one row.
        channels: names of its channels.
        units: unit of each channel, None where it is not known; None if no unit is.
    """
    count = np.zeros(len(channels), np.int64)
    mean, squares = np.zeros(len(channels)), np.zeros(len(channels))  # squares of the distances from the mean, summed
    low, high = (np.full((len(split), len(channels)), np.nan) for _ in range(2))
    first, constant = np.full(len(channels), np.nan), np.ones(len(channels), bool)
    total = 0
    for chunk in split.chunks():
        there = ~np.isnan(chunk)
        total += len(chunk)
        of_chunk = there.sum(0)
        values = np.where(there, chunk, 0).astype(np.float64)
        with np.errstate(invalid="ignore"):
            of_mean = values.sum(0) / of_chunk
        of_mean[of_chunk == 0] = 0
        of_squares = (np.square(values - of_mean) * there).sum(0)
        both = np.maximum(count + of_chunk, 1)
        distance = of_mean - mean
        mean = mean + distance * of_chunk / both
        squares = squares + of_squares + np.square(distance) * count * of_chunk / both
        count = count + of_chunk
        first = np.where(np.isnan(first) & (of_chunk > 0), chunk[there.argmax(0), np.arange(len(channels))], first)
        constant &= (~there | (chunk == first)).all(0)
    for index in range(len(split)):
        signal = split.signal(index)
        low[index], high[index] = np.fmin.reduce(signal, 0), np.fmax.reduce(signal, 0)  # NaN if all are
    std = np.sqrt(squares / np.maximum(count, 1))
    flat = constant | ~(std > 0)
    mean = np.where(constant & (count > 0), first, mean)
    return Statistics(
        mean=mean,
        std=np.where(flat, 1.0, std),
        usual=tuple(_usual(low[:, channel], high[:, channel]) for channel in range(len(channels))),
        has_missing=bool((count < total).any()),
        lengths={quantile: int(np.quantile(split.lengths, quantile, method="higher")) for quantile in _QUANTILES},
        remarks=(
            *(
                f"channel {name} has no value in any training row"
                if not count[channel]
                else f"channel {name} is always {mean[channel]:g} in the training rows; its std is taken as 1"
                for channel, name in enumerate(channels)
                if flat[channel]
            ),
            *doubt_scales(high - low, split.names, channels, units or [None] * len(channels)),
        ),
    )


def _usual(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[float, float]:
    if np.isnan(low).all():
        return 0.0, 0.0
    return _rounded(np.nanpercentile(low, _SHARE)), _rounded(np.nanpercentile(high, 100 - _SHARE))


def _rounded(value: float) -> float:
    return float(round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))) if value else 0.0
