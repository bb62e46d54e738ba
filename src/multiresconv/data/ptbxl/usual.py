"""The usual range of each lead, so that a model can doubt values of another unit."""

import numpy as np

from multiresconv.data.ptbxl.split import PtbXlSplit

_SHARE = 1.0  # percent of the records that may go below the range, and as many that may go above it
_DIGITS = 4  # after the point; a microvolt is 0.001 mV


def usual_ranges(split: PtbXlSplit) -> tuple[tuple[float, float], ...]:
    """Return (lowest, highest) of each lead in mV, such that one record in a hundred goes below and one above it."""
    lowest = np.concatenate([chunk.min(1) for chunk in split.chunks()])
    highest = np.concatenate([chunk.max(1) for chunk in split.chunks()])
    low = np.percentile(lowest.astype(np.float64), _SHARE, axis=0).round(_DIGITS)
    high = np.percentile(highest.astype(np.float64), 100 - _SHARE, axis=0).round(_DIGITS)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))
