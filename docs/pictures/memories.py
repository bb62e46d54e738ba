"""What a fading and a uniform memory of equal size keep of the past: the support of each coefficient."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multiresconv.ops import fading, uniform

DEPTH = 8


def draw() -> Figure:
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    _draw_memory(above, fading(DEPTH), f"fading: {fading(DEPTH)}")
    _draw_memory(below, uniform(DEPTH, 2, DEPTH + 1), f"uniform: {uniform(DEPTH, 2, DEPTH + 1)}")
    below.set_xlabel("steps before now")
    return figure


def _draw_memory(axes: Axes, memory: Sequence[int], title: str) -> None:
    """Draw a bar for each coefficient that is kept, over the steps that it sums; two taps, so that none overlap."""
    for scale, kept in zip(range(DEPTH, 0, -1), memory, strict=True):
        for place in range(kept):
            newest = -place * 2**scale
            axes.barh(scale, -(2**scale), left=newest + 0.5, color="tab:orange", edgecolor="white", height=0.85)
    axes.barh(DEPTH + 1, -(2**DEPTH), left=0.5, color="tab:blue", edgecolor="white", height=0.85)
    axes.set_yticks(range(1, DEPTH + 2), [*(f"$b_{scale}$" for scale in range(1, DEPTH + 1)), f"$a_{DEPTH}$"])
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlim(-(2**DEPTH) - 4, 4)
    axes.spines[["top", "right"]].set_visible(False)
