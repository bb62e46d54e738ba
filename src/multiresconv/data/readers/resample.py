"""Bring a recording to another sampling rate."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.extras import load_extra

_LARGEST = 1000  # denominator of the ratio of two rates
_PRECISION = 1e-3  # largest relative error of that ratio


def resample(values: NDArray[np.float32], rate: float, wanted: float) -> NDArray[np.float32]:
    """Resample (channels, time) to `wanted` samples per second with an anti-aliasing filter, by `resample_poly`.

    The ratio of the rates is approximated by a fraction of numbers up to 1000. A missing value (NaN) is interpolated
    linearly between its neighbours for the filter, or held at the ends; afterwards a sample whose nearest original
    sample was missing is NaN again. The result has ceil(time * wanted / rate) samples, and begins at the same moment.

    Raises:
        ValueError: a rate is not a positive number, or their ratio is no such fraction; the message names no file.
        ModuleNotFoundError: SciPy is not installed.
    """
    for number in (rate, wanted):
        if not 0 < number < float("inf"):
            raise ValueError(f"rate: expected more than 0 samples a second, got {number:g}")
    ratio = Fraction(wanted / rate).limit_denominator(_LARGEST)
    if ratio == 1 and abs(wanted / rate - 1) <= _PRECISION:
        return values
    if ratio > _LARGEST or abs(float(ratio) - wanted / rate) > _PRECISION * wanted / rate:
        raise ValueError(f"rate: expected a rate within a factor of {_LARGEST} of {rate:g}, got {wanted:g}")
    signal = load_extra("scipy.signal", "Recordings of other rates")
    missing = np.isnan(values)
    full = _filled(values, missing)
    mean = full.mean(1, keepdims=True)  # the filter's gain at 0 Hz is not exactly 1
    # "line" continues the signal beyond its ends, where it would otherwise fall to 0
    result = signal.resample_poly(full - mean, ratio.numerator, ratio.denominator, axis=1, padtype="line")
    result = (result + mean).astype(np.float32)
    if missing.any():
        nearest = np.round(np.arange(result.shape[1]) * (ratio.denominator / ratio.numerator)).astype(np.int64)
        result[missing[:, np.minimum(nearest, values.shape[1] - 1)]] = np.nan
    return result


def _filled(values: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    full = values.astype(np.float64)
    places = np.arange(values.shape[1])
    for row, gone in zip(full, missing, strict=True):
        if gone.all():
            row[:] = 0
        elif gone.any():
            row[gone] = np.interp(places[gone], places[~gone], row[~gone])
    return full
