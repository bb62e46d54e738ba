"""Draw a confusion matrix."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor


def draw_confusion(counts: Tensor, classes: Sequence[str], title: str) -> Figure:
    """Draw counts (C, C), indexed [true, predicted]: numbers are counts, colours are shares of the true class."""
    table = counts.numpy()
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    size = 2.5 + 0.5 * len(classes)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class")
    turned = 45 if max(map(len, classes)) > 2 else 0
    axes.set_xticks(range(len(classes)), classes, rotation=turned, ha="right" if turned else "center")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    accuracy = table.diagonal().sum() / max(table.sum(), 1)
    axes.set_title(f"{title}: accuracy {accuracy:.2%} of {table.sum()}", fontsize=10)
    for (row, column), count in np.ndenumerate(table):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=7)
    return figure
