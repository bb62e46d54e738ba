"""Doubt the scale of recordings: a wrong unit, or raw converter counts, is seen in how much a channel covers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.recording import listed
from multiresconv.data.readers.units import conversion

APART = 300.0  # times that a row may cover more or less than the others; the prefixes of units are 1,000 apart
LEAST_ROWS = 3
BODY = 50.0  # mV; signals of a body, whose units are mV or uV, cover a few


def doubt_scales(
    cover: NDArray[np.floating], names: Sequence[str], channels: Sequence[str], units: Sequence[str | None]
) -> list[str]:
    """Say which rows cover far more or less than the others, and which channels cover too much for their unit.

    Args:
        cover: (rows, channels) the highest value less the lowest of each row; NaN if all are missing.
        names: of the rows.
        channels: names of the channels.
        units: unit of each channel, None where it is not known.
    """
    doubts = []
    there = np.where(cover > 0, cover, np.nan)
    median = np.array([np.median(column[column > 0]) if (column > 0).any() else np.nan for column in there.T])
    for what, far in (("more", there > APART * median), ("less", there * APART < median)):
        if len(cover) >= LEAST_ROWS and (rows := np.flatnonzero(far.any(1))).size:
            first: int = rows.tolist()[0]
            shown = listed(sorted({names[row].partition(", window ")[0] for row in rows.tolist()}))
            channel = channels[int(far[first].argmax())]
            channel = channels[int(far[first].argmax())]
            doubts.append(
                f"{len(rows)} training row(s) cover over {APART:g} times {what} than the others, in channel {channel} "
                f"and perhaps more: {shown}; another unit? Mend or leave them out: the model learns what it is given"
            )
    for channel, unit, usual in zip(channels, units, median.tolist(), strict=True):
        factor = conversion(unit, "mV") if unit is not None and unit[:1] in "mu\u00b5\u03bc" else None
        if factor is not None and usual * factor > BODY:
            doubts.append(
                f"channel {channel} covers {usual:.4g} {unit} in half of the training rows, much for a signal of a "
                "body: another unit, or raw converter counts?"
            )
    return doubts
