"""Draw images with predicted labels, in grids, and with completions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

_RIGHT, _WRONG = "black", "#cc3311"


def draw_labelled(
    pixels: NDArray[np.uint8], labels: Tensor, probabilities: Tensor, classes: Sequence[str], title: str
) -> Figure:
    """Draw images (n, side, side, C) with the likeliest label, its probability and, if wrong, the true label.

    `labels` (n,) are the true classes, `probabilities` is (n, classes).
    """
    columns = 10
    rows = -(-len(pixels) // columns)
    figure = Figure(figsize=(1.25 * columns, 1.5 * rows + 0.5), layout="constrained")
    places = _axes_grid(figure, rows, columns)
    for place, image, label, row in zip(places, pixels, labels.tolist(), probabilities, strict=False):
        best = int(row.argmax())
        place.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
        text = f"{classes[best]} {float(row[best]):.0%}" + ("" if best == label else f"\nis {classes[label]}")
        place.set_title(text, fontsize=8, color=_RIGHT if best == label else _WRONG)
    figure.suptitle(title, fontsize=10)
    return figure


def draw_grid(pixels: NDArray[np.uint8], title: str) -> Figure:
    """Draw images (n, side, side, C), eight per row."""
    columns = min(8, len(pixels))
    rows = -(-len(pixels) // columns)
    figure = Figure(figsize=(columns, rows + 0.4), layout="constrained")
    for place, image in zip(_axes_grid(figure, rows, columns), pixels, strict=False):
        place.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
    figure.suptitle(title, fontsize=10)
    return figure


def draw_completions(images: NDArray[np.uint8], completed: NDArray[np.uint8], given_rows: int, title: str) -> Figure:
    """Draw one column per image (n, side, side, C): the image, its upper `given_rows`, its completions (n, k, ...)."""
    given = images.copy()
    given[:, given_rows:] = 255
    rows = np.stack([images, given, *completed.swapaxes(0, 1)])
    figure = Figure(figsize=(len(images) + 0.9, len(rows) + 0.4), layout="constrained")
    places = _axes_grid(figure, len(rows), len(images))
    for place, image in zip(places, rows.reshape(-1, *images.shape[1:]), strict=True):
        place.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
    names = ["image", "given", *[f"drawn {i + 1}" for i in range(completed.shape[1])]]
    for place, name in zip(places[:: len(images)], names, strict=True):
        place.text(-0.12, 0.5, name, transform=place.transAxes, ha="right", va="center", fontsize=9)
    figure.suptitle(f"{title}: completions", fontsize=10)
    return figure


def _axes_grid(figure: Figure, rows: int, columns: int) -> list[Any]:
    """Return one subplot per cell, row by row, without axis lines and ticks."""
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place in places:
        place.axis("off")
    return places
