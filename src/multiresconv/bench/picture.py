"""The speed table as a picture: time and memory against length, log-log."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from sklearn.isotonic import isotonic_regression

from multiresconv.bench.markdown import value

# Colour-blind-safe colours of Okabe and Ito. This library's lines are black and the heaviest.
_STYLES: dict[str, dict[str, Any]] = {
    "cpu": {"color": "#000000", "linestyle": "-"},
    "triton": {"color": "#000000", "linestyle": ":"},
    "block": {"color": "#000000", "linestyle": "--"},
    "reference": {"color": "#999999", "linestyle": "-"},
    "compile": {"color": "#999999", "linestyle": "--"},
    "fft": {"color": "#56b4e9", "linestyle": "-"},
    "s4d": {"color": "#0072b2", "linestyle": "-"},
    "gru": {"color": "#e69f00", "linestyle": "-"},
    "lstm": {"color": "#d55e00", "linestyle": "-"},
    "attention": {"color": "#cc79a7", "linestyle": "-"},
    "tcn": {"color": "#009e73", "linestyle": "-"},
}
_PANELS = {
    "train": ("Training step", "ms", 1e3),
    "inference": ("Inference", "ms", 1e3),
    "step": ("One step of a stream, batch 1", "us", 1e6),
    "memory": ("Peak memory of a training step", "MiB", 2**-20),
}
# Least distance of two labels, as a share of the height of a panel.
_LABEL_HEIGHT = 0.055


def draw(report: dict[str, Any]) -> Figure:
    """Draw one panel per measure with one line per contender, labelled at its end; bands show quartiles."""
    figure = Figure(figsize=(14, 10.5), layout="constrained")
    where = f"width {report['d_model']}, batch {report['batch_size']}, {report['dtype']}; {report['machine']}"
    figure.suptitle(f"Sequence layers side by side\n{where}", fontsize=11)
    for axes, (measure, (title, unit, scale)) in zip(figure.subplots(2, 2).flat, _PANELS.items(), strict=True):
        _panel(axes, report, measure, scale)
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_ylabel(unit)
    return figure


def _panel(axes: Axes, report: dict[str, Any], measure: str, scale: float) -> None:
    lengths = report["lengths"]
    ends = {}
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for name, of in report["cells"][measure].items():
        known = [n for n in lengths if "missing" not in of[str(n)] and value(of[str(n)]) > 0]
        if not known:
            continue
        cells, ours = [of[str(n)] for n in known], report["contenders"][name]["ours"]
        line = {**_STYLES[name], "linewidth": 2.8 if ours else 1.6, "zorder": 3 if ours else 2}
        axes.plot(known, [scale * value(c) for c in cells], marker="o", markersize=4, **line)
        if measure != "memory":
            low, high = ([scale * c[side] for c in cells] for side in ("low", "high"))
            axes.fill_between(known, low, high, color=line["color"], alpha=0.15, linewidth=0)
        ends[name] = (known[-1], scale * value(cells[-1]))
    axes.set_xlim(lengths[0] / 1.15, lengths[-1] * 1.15)
    axes.xaxis.set_major_locator(FixedLocator(lengths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n / 1024:g}k" if n % 1024 == 0 else f"{n:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}" if y >= 1 else f"{y:g}"))
    axes.set_xlabel("length")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    _label(axes, ends, report)


def _label(axes: Axes, ends: Mapping[str, tuple[float, float]], report: dict[str, Any]) -> None:
    """Write the names beside the right edge, as near as possible to the heights where the lines end."""
    if not ends:
        return
    low, high = np.log(axes.get_ylim())
    heights = {name: float((np.log(y) - low) / (high - low)) for name, (_, y) in ends.items()}
    for name, height in spread(heights, _LABEL_HEIGHT).items():
        style = _STYLES[name]
        axes.annotate(
            report["contenders"][name]["label"],
            xy=ends[name],
            xytext=(1.06, height),
            textcoords="axes fraction",
            va="center",
            color=style["color"],
            fontweight="bold" if report["contenders"][name]["ours"] else "normal",
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0.0, 0.5),
                "color": style["color"],
                "linewidth": 0.6,
                "alpha": 0.6,
            },
            annotation_clip=False,
        )


def spread(heights: Mapping[str, float], distance: float) -> dict[str, float]:
    """Move heights in 0..1 as little as possible so that they are `distance` apart, in unchanged order."""
    names = sorted(heights, key=lambda name: heights[name])
    steps = distance * np.arange(len(names))
    # After subtracting the space of the labels below, the heights only need to be in order.
    free = isotonic_regression([heights[n] for n in names] - steps, y_min=0.0, y_max=max(1.0 - steps[-1], 0.0))
    return dict(zip(names, (free + steps).tolist(), strict=True))
