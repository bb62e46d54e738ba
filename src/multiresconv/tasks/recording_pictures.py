"""Draw recordings with their predictions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

_POINTS = 2_000  # of a drawn line
_MOST_CHANNELS = 6
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")


class Shown(NamedTuple):
    """A recording to draw."""

    signal: NDArray[np.float32]  # (time, channels), NaN where a value is missing
    text: str  # what is said above it


def draw_recordings(
    rows: Sequence[Shown], channels: Sequence[str], *, rate: float | None, unit: str | None, title: str
) -> Figure:
    """Draw recordings below each other in two columns, at most six channels of each.

    Args:
        rows: at least one.
        channels: names of the channels.
        rate: samples per second; None draws over the number of the sample.
        unit: unit of all channels, or None.
        title: of the figure.
    """
    lines = (len(rows) + 1) // 2
    figure = Figure(figsize=(12, 0.8 + 1.9 * lines), layout="constrained")
    figure.suptitle(title, fontsize=11)
    grid = figure.subplots(lines, 2, squeeze=False)
    for axes, row in zip(grid.T.flat, rows, strict=False):
        step = max(1, len(row.signal) // _POINTS)
        time = np.arange(len(row.signal))[::step] / (rate or 1.0)
        for channel, name in enumerate(channels[:_MOST_CHANNELS]):
            axes.plot(time, row.signal[::step, channel], lw=0.9, color=_COLOURS[channel], label=name)
        axes.set_title(row.text, fontsize=9, loc="left")
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.margins(x=0)
    for axes in grid.T.flat[len(rows) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("samples" if rate is None else "seconds", fontsize=8)
    if unit is not None:
        for axes in grid[:, 0]:
            axes.set_ylabel(unit, fontsize=8)
    if len(channels) > 1:
        more = f", {len(channels) - _MOST_CHANNELS} more not drawn" if len(channels) > _MOST_CHANNELS else ""
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside lower center", ncols=6, frameon=False, fontsize=8, title=more.lstrip(", ")
        )
    return figure
