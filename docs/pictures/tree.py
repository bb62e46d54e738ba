"""The tree of dilated convolutions for two taps and four scales, and what one output reads."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

DEPTH, STEPS = 4, 16
LOW, HIGH, IDLE = "tab:blue", "tab:orange", "#cccccc"


def draw() -> Figure:
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    for scale in range(DEPTH + 1):
        _draw_scale(axes, scale)
    newest = STEPS - 1
    for scale in range(1, DEPTH + 1):
        axes.plot([newest, newest + 1.2], [scale - 1, scale - 0.35], color=HIGH, linewidth=1.4)
        axes.plot([newest - 2 ** (scale - 1), newest + 1.2], [scale - 1, scale - 0.35], color=HIGH, linewidth=1.4)
        axes.scatter(newest + 1.2, scale - 0.35, s=70, color=HIGH, marker="s", zorder=3)
        axes.annotate(f"$b_{scale}[n]$", (newest + 1.55, scale - 0.35), va="center")
    axes.annotate(f"$a_{DEPTH}[n]$", (newest + 0.35, DEPTH + 0.1), va="center")
    names = ["$x = a_0$", *(f"$a_{scale}$, dilation {2 ** (scale - 1)}" for scale in range(1, DEPTH + 1))]
    axes.set_yticks(range(DEPTH + 1), names)
    ages = ["n", *(f"n-{age}" for age in range(1, STEPS))]
    axes.set_xticks(range(STEPS), ages[::-1], fontsize=8)
    axes.set(xlim=(-0.6, STEPS + 2), ylim=(-0.4, DEPTH + 0.5))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def _draw_scale(axes: Axes, scale: int) -> None:
    """Draw the row of a_scale, and the edges from the row below; those that a_4[n] needs are blue."""
    needed = {STEPS - 1 - step for step in range(0, STEPS, 2**scale)}
    for step in range(STEPS):
        colour = LOW if step in needed else IDLE
        axes.scatter(step, scale, s=45, color=colour, zorder=2)
        for tap in (0, 2 ** (scale - 1)) if scale else ():
            if step in needed:
                axes.plot([step - tap, step], [scale - 1, scale], color=LOW, linewidth=1, zorder=1)
