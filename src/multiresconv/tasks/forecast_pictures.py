"""Pictures of forecasts: fan charts of some origins, and the error at each step of the horizon."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.tasks.forecast_measures import MODELS, measures, middle

_COLOURS = {"model": "#cc3311", "seasonal_naive": "#4477aa", "drift": "#228833"}
_STYLES = {"model": "-", "seasonal_naive": "--", "drift": ":"}
_MAX_CHANNELS = 4  # more would not fit beside each other
_PAST = 4  # horizons of past that are shown


class Fan(NamedTuple):
    """A forecast from one origin; missing values are NaN.

    Attributes:
        past: (L, C) values up to the origin.
        future: (horizon, C) values after it.
        forecasts: (horizon, C, Q).
        title: which origin this is.
    """

    past: NDArray
    future: NDArray
    forecasts: NDArray
    title: str


def draw_fans(
    fans: Sequence[Fan], names: Sequence[str], quantiles: tuple[float, ...], title: str, units: Sequence[str] = ()
) -> Figure:
    """Draw past, truth, the middle quantile and the bands between quantiles: a row an origin, a column a channel.

    Args:
        fans: forecasts from at least one origin.
        names: C names of the channels; the first four are drawn.
        quantiles: quantiles of the forecasts; empty for point forecasts.
        title: title of the figure.
        units: unit of each channel, or none.
    """
    shown = min(len(names), _MAX_CHANNELS)
    figure = Figure(figsize=(max(8.0, 4.6 * shown), 0.5 + 2.5 * len(fans)), layout="constrained")
    grid = figure.subplots(len(fans), shown, squeeze=False)
    figure.suptitle(title, fontsize=10)
    for fan, row in zip(fans, grid, strict=True):
        for channel, axes in enumerate(row):
            _draw_fan(axes, fan, channel, quantiles)
            axes.set_title(f"{names[channel]}, {fan.title}", fontsize=9)
            axes.set_ylabel(units[channel] if units else "")
    for axes in grid[-1]:
        axes.set_xlabel("steps after the origin")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    return figure


def _draw_fan(axes: Axes, fan: Fan, channel: int, quantiles: tuple[float, ...]) -> None:
    past, future = fan.past[-_PAST * len(fan.future) :, channel], fan.future[:, channel]
    forecasts, steps = fan.forecasts[:, channel], np.arange(1, len(future) + 1)
    axes.plot(np.arange(1 - len(past), 1), past, color="#777777", linewidth=1.0, label="past")
    for i in range(len(quantiles) // 2):
        low, high = quantiles[i], quantiles[-1 - i]
        label = f"{low:g} to {high:g} quantile"
        band = axes.fill_between(steps, forecasts[:, i], forecasts[:, -1 - i], color=_COLOURS["model"], label=label)
        band.set(alpha=0.2, linewidth=0)
    axes.plot(np.arange(len(future) + 1), [past[-1], *future], color="black", linewidth=1.2, label="truth")
    label = f"{quantiles[middle(quantiles)]:g} quantile" if quantiles else "forecast"
    axes.plot(steps, forecasts[:, middle(quantiles)], color=_COLOURS["model"], linewidth=1.4, label=label)
    axes.axvline(0, color="black", linewidth=0.6, linestyle=":")
    axes.grid(alpha=0.25)


def draw_error_by_step(
    scores: Mapping[str, Tensor], names: Sequence[str], title: str, units: Sequence[str] = ()
) -> Figure:
    """Draw the mean absolute error at each step of the horizon, of the model and of the naive forecasts.

    Args:
        scores: the result of `ForecastScores.compute`.
        names: C names of the channels; the first four are drawn.
        title: title of the figure.
        units: unit of each channel, or none.
    """
    by_step, shown = measures(scores["by_step"]), min(len(names), _MAX_CHANNELS)
    figure = Figure(figsize=(max(5.5, 4.2 * shown), 3.6), layout="constrained")
    figure.suptitle(f"{title}: {int(scores['n'])} origins", fontsize=10)
    for channel, axes in enumerate(figure.subplots(1, shown, squeeze=False)[0]):
        for model in MODELS:
            errors, label = by_step[f"{model}_mae"][:, channel].numpy(), model.replace("_", " ")
            marker = "o" if len(errors) < 30 else ""
            steps = np.arange(1, len(errors) + 1)
            axes.plot(steps, errors, _STYLES[model], color=_COLOURS[model], marker=marker, markersize=3, label=label)
        axes.set_ylim(bottom=0)
        axes.set_title(names[channel], fontsize=9)
        axes.set_xlabel("steps after the origin")
        axes.set_ylabel("mean absolute error" + (f" [{units[channel]}]" if units else ""))
        axes.grid(alpha=0.25)
        if not channel:
            axes.legend(frameon=False, fontsize=8)
    return figure
