"""`Labelled`: what has a target in a data set, whole recordings or the surroundings of events, and its windows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.recordings.cache import Signals
from multiresconv.data.recordings.options import TableData
from multiresconv.data.recordings.rows import Listing
from multiresconv.data.recordings.windows import Windows, cut_windows


class Labelled(NamedTuple):
    """What has a target, a group and a split."""

    listing: Listing
    windows: Windows  # of the recordings
    of: NDArray[np.int64]  # (windows,) index of each window's row in the listing
    remarks: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()  # name and reason of each recording whose events cannot be read


def label_recordings(data: TableData, signals: Signals) -> Labelled:
    """Return the recordings, cut into windows if the options say so.

    Raises:
        ValueError: a window or hop of less than a sample.
    """
    lengths = np.diff(signals.offsets)
    window, hop = (None if size is None else steps_of(size, signals.rate) for size in (data.window, data.hop))
    windows = cut_windows(lengths, window, hop)
    short = 0 if window is None else int((lengths < window).sum())
    remarks = (f"{short} recording(s) are shorter than a window, and stay whole",) if short else ()
    return Labelled(signals.listing, windows, windows.recordings, remarks)


def steps_of(size: float, rate: float | None) -> int:
    """Return time steps of a window or hop in seconds, or in samples if the rate is not known.

    Raises:
        ValueError: less than one sample.
    """
    steps = round(size * (1.0 if rate is None else rate))
    if steps < 1:
        at = "" if rate is None else f" s at {rate:g} samples a second"
        raise ValueError(f"window, hop: expected at least one sample, got {size:g}{at}")
    return steps
