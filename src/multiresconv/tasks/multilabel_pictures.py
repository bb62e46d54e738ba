"""Pictures for multi-label tasks: ROC curves, and an ECG with its running prediction."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from multiresconv.data.ptbxl import LEADS, RATE

_COLOURS = ("#4477aa", "#cc3311", "#228833", "#ee7733", "#aa3377", "#33bbee", "#999933", "#332288")
_GREY = "#9a9a9a"
_PAPER = "#f4c7c3"  # grid lines of ECG paper
_MAX_NAMED = len(_COLOURS)  # number of curves that get a colour of their own


def roc_figures(scores: Mapping[str, Tensor], names: Sequence[str], title: str) -> dict[str, Figure]:
    """Return the picture "roc" of `draw_roc`, or none if no class has a curve."""
    return {} if scores["auroc"].isnan().all() else {"roc": draw_roc(scores, names, title)}


def draw_roc(scores: Mapping[str, Tensor], names: Sequence[str], title: str) -> Figure:
    """Draw the ROC curves of all classes that have one, and their mean, from the result of `MultilabelScores`.

    At least one class has to have a curve.

    Up to eight curves have a colour and a name; if there are more, only the four highest and four lowest have.
    """
    from sklearn.metrics import roc_curve  # not at the top: slow to import

    areas = scores["auroc"].cpu().numpy()
    logits, labels = scores["logits"].cpu().numpy(), scores["labels"].cpu().numpy()
    order = [int(label) for label in np.argsort(-areas, kind="stable") if np.isfinite(areas[label])]
    named = order if len(order) <= _MAX_NAMED else order[: _MAX_NAMED // 2] + order[-(_MAX_NAMED // 2) :]
    colours = dict(zip(named, _COLOURS, strict=False))
    figure = Figure(figsize=(8.2, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color="black", linewidth=0.8)
    grid, curves = np.linspace(0, 1, 401), []
    for label in order:
        false_rate, true_rate, _ = roc_curve(labels[:, label], logits[:, label])
        curves.append(np.interp(grid, false_rate, true_rate))
        if label not in colours:
            axes.plot(false_rate, true_rate, color=_GREY, linewidth=0.6, alpha=0.45)
    for label in named:  # drawn later, on top of the grey curves
        false_rate, true_rate, _ = roc_curve(labels[:, label], logits[:, label])
        legend = f"{names[label]}  {areas[label]:.3f}, {int(labels[:, label].sum())} of {len(labels)}"
        axes.plot(false_rate, true_rate, color=colours[label], linewidth=1.3, label=legend)
    macro = f"mean of {len(order)}  {areas[order].mean():.3f}"
    axes.plot(grid, np.mean(curves, axis=0), color="black", linewidth=2.2, label=macro)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.grid(alpha=0.25)
    axes.set_title(title, fontsize=10)
    few = "" if len(order) == len(named) else f"; {_MAX_NAMED // 2} highest, {_MAX_NAMED // 2} lowest"
    _legend(axes, f"AUROC, positives{few}")
    return figure


def draw_running_prediction(
    signal: ArrayLike,
    probabilities: ArrayLike,
    names: Sequence[str],
    truth: ArrayLike,
    title: str,
    *,
    rate: float = RATE,
) -> Figure:
    """Draw an ECG, and below it the model's prediction after each sample.

    Args:
        signal: (L, 12) in mV, leads in the order of `LEADS`.
        probabilities: (L, C) probability of each label after each sample.
        names: C labels.
        truth: (C,) 1 if the record has the label, else 0.
        rate: sampling rate in Hz.
    """
    signal, probabilities, truth = np.asarray(signal), np.asarray(probabilities), np.asarray(truth).astype(bool)
    seconds = np.arange(1, len(signal) + 1) / rate
    figure = Figure(figsize=(11, 9.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
    _draw_leads(above, seconds, signal)
    above.set_title(title, fontsize=10)
    _draw_probabilities(below, seconds, probabilities, names, truth)
    below.set_xlabel("seconds")
    below.set_xlim(0, seconds[-1])
    return figure


def _draw_leads(axes: Axes, seconds: NDArray, signal: NDArray) -> None:
    """Draw the leads one below the other, each centred on its median, on a grid of 0.2 s by 0.5 mV."""
    centred = signal - np.median(signal, axis=0)
    spacing = max(1.0, np.ceil(2 * 0.75 * float(np.quantile(np.ptp(centred, axis=0), 0.9))) / 2)  # a multiple of 0.5 mV
    heights = -spacing * np.arange(signal.shape[1])
    axes.plot(seconds, centred + heights, color="black", linewidth=0.7)
    axes.set_yticks(heights, LEADS)
    axes.tick_params(axis="y", length=0)
    bottom, top = (heights + centred.min(0)).min() - 0.25, (heights + centred.max(0)).max() + 0.25
    axes.set_ylim(bottom, top)
    for level in np.arange(np.ceil(bottom * 2), top * 2) / 2:
        axes.axhline(level, color=_PAPER, linewidth=0.5, zorder=0)
    for moment in np.arange(0, seconds[-1], 0.2):
        axes.axvline(moment, color=_PAPER, linewidth=0.5, zorder=0)
    axes.set_ylabel("leads; a square is 0.2 s wide, 0.5 mV high", fontsize=8)


def _draw_probabilities(
    axes: Axes, seconds: NDArray, probabilities: NDArray, names: Sequence[str], truth: NDArray
) -> None:
    """Draw true labels as bold curves and the most probable others as thin ones; the rest is grey, without a name."""
    order = np.lexsort((-probabilities[-1], ~truth))  # true labels first, then by final probability
    named = [int(label) for label in order[:_MAX_NAMED]]
    colours = dict(zip(named, _COLOURS, strict=False))
    for label in range(len(names)):
        if label not in colours:
            axes.plot(seconds, probabilities[:, label], color=_GREY, linewidth=0.5, alpha=0.5)
    for label in named:
        width, style = (2.2, "-") if truth[label] else (1.0, "--")
        text = f"{names[label]}  {probabilities[-1, label]:.2f}{' (true)' if truth[label] else ''}"
        axes.plot(seconds, probabilities[:, label], style, color=colours[label], linewidth=width, label=text)
    axes.axhline(0.5, color="black", linewidth=0.6, linestyle=":")
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("probability so far")
    axes.grid(alpha=0.25)
    _legend(axes, "at the end")


def _legend(axes: Axes, title: str) -> None:
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        frameon=False,
        fontsize=8,
        title=title,
        title_fontsize=8,
        alignment="left",
    )
