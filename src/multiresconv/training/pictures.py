"""Pictures of a run: its curves and the confusion of a classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from multiresconv.training.run_directory import write_atomically

_TRAIN, _VAL = "#4477aa", "#cc3311"


def draw_curves(path: Path, metrics: Sequence[dict[str, Any]]) -> None:
    """Loss, accuracy and learning rate by step; nothing is drawn where nothing was measured."""
    if not metrics:
        return
    train = [line for line in metrics if line["kind"] == "train"]
    val = [line for line in metrics if line["kind"] == "val"]
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 3), ("loss", "accuracy", "lr"), strict=True):
        for lines, label, style, colour in ((train, "train", "-", _TRAIN), (val, "validation", "o-", _VAL)):
            known = [line for line in lines if name in line]
            if known:
                xs, ys = [line["step"] for line in known], [line[name] for line in known]
                axes.plot(xs, ys, style, color=colour, label=label)
        axes.set_title("learning rate" if name == "lr" else name)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(frameon=False)
    save_figure(figure, path)


def draw_confusion(path: Path, counts: Tensor, classes: Sequence[str], title: str) -> None:
    """Counts (C, C), true class first: each row's shares as colours, the counts as numbers."""
    table = counts.numpy()
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    size = 2.5 + 0.5 * len(classes)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class")
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    accuracy = table.diagonal().sum() / max(table.sum(), 1)
    axes.set_title(f"{title}: accuracy {accuracy:.2%} of {table.sum()}", fontsize=10)
    for (row, column), count in np.ndenumerate(table):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=7)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    write_atomically(path, lambda part: figure.savefig(part, dpi=130))
