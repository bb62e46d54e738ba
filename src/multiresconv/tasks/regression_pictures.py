"""Pictures of a regression: predicted over true values, and the residuals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

_MAX_TARGETS = 6  # more would not fit on a screen
_BLUE = "#4477aa"
_RED = "#cc3311"


def draw_regression(
    scores: Mapping[str, Tensor], names: Sequence[str], title: str, units: Sequence[str] = ()
) -> Figure:
    """Draw each target, at most six: predicted over true values with the diagonal, and a histogram of the residuals.

    Args:
        scores: the result of `RegressionScores.compute`.
        names: T names of the targets.
        title: title of the figure.
        units: unit of each target, or none.
    """
    predictions, targets = (scores[name].numpy().reshape(-1, len(names)) for name in ("predictions", "targets"))
    shown = range(min(len(names), _MAX_TARGETS))
    figure = Figure(figsize=(7.6, 0.4 + 3.8 * len(shown)), layout="constrained")
    rows = figure.subplots(len(shown), 2, squeeze=False, width_ratios=(2, 1))
    more = f" (the first {_MAX_TARGETS} of {len(names)})" if len(names) > _MAX_TARGETS else ""
    figure.suptitle(f"{title}: {len(targets)} rows{more}", fontsize=10)
    for i, (left, right) in zip(shown, rows, strict=True):
        unit = f" [{units[i]}]" if units else ""
        _draw_scatter(left, targets[:, i], predictions[:, i], names[i], unit)
        _draw_residuals(right, predictions[:, i] - targets[:, i], unit)
    return figure


def _draw_scatter(axes: Axes, truth: NDArray, predicted: NDArray, name: str, unit: str) -> None:
    low, high = (float(bound) for bound in (min(truth.min(), predicted.min()), max(truth.max(), predicted.max())))
    margin = 0.04 * (high - low) or 1.0
    ends = (low - margin, high + margin)
    axes.plot(ends, ends, color="black", linewidth=0.8, linestyle=":", label="predicted = true")
    alpha = float(np.clip(30 / np.sqrt(len(truth)), 0.1, 0.8))
    axes.scatter(truth, predicted, s=12, color=_BLUE, alpha=alpha, linewidths=0)
    axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel=f"true{unit}", ylabel=f"predicted{unit}")
    axes.set_title(name, fontsize=9)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    axes.grid(alpha=0.25)


def _draw_residuals(axes: Axes, residuals: NDArray, unit: str) -> None:
    low, high = float(residuals.min()), float(residuals.max())
    ends = (low, high) if low < high else (low - 0.5 * (abs(low) or 1), low + 0.5 * (abs(low) or 1))
    bins = int(np.clip(np.sqrt(len(residuals)), 5, 40))
    axes.hist(residuals.astype(np.float64), bins=bins, range=ends, color=_BLUE, alpha=0.8)
    axes.axvline(0, color="black", linewidth=0.8, linestyle=":")
    axes.axvline(float(residuals.mean()), color=_RED, linewidth=1.2)
    axes.set(xlabel=f"predicted - true{unit}", ylabel="rows")
    axes.set_title(f"mean {residuals.mean():.3g}", fontsize=9, color=_RED)
    axes.set_axisbelow(True)
    axes.grid(alpha=0.25)
