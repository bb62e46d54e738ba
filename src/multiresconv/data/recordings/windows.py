"""Cut recordings into windows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Windows(NamedTuple):
    """Sections of recordings, in their order."""

    recordings: NDArray[np.int64]  # (windows,) index of the recording
    starts: NDArray[np.int64]  # (windows,) first time step in the recording
    lengths: NDArray[np.int64]  # (windows,) time steps


def cut_windows(lengths: NDArray[np.int64], window: int | None, hop: int | None) -> Windows:
    """Cut recordings of `lengths` (recordings,) time steps into windows that begin at 0, hop, 2 * hop, ...

    A window that would reach beyond the end is left out. A recording shorter than a window is one window.

    Args:
        lengths: at least 1 each.
        window: time steps of a window, at least 1; None leaves all recordings whole.
        hop: time steps between the beginnings of two windows, at least 1; None means `window`.
    """
    if window is None:
        return Windows(np.arange(len(lengths)), np.zeros(len(lengths), np.int64), lengths.copy())
    hop = window if hop is None else hop
    counts = np.maximum((lengths - window) // hop + 1, 1)
    recordings = np.repeat(np.arange(len(lengths)), counts)
    numbers = np.arange(len(recordings)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Windows(recordings, numbers * hop, np.minimum(lengths[recordings], window))
