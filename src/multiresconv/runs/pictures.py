"""Draw the training curves of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from multiresconv.figures import save_figure

_TRAIN, _VAL = "#4477aa", "#cc3311"


def draw_curves(path: Path, metrics: Sequence[dict[str, Any]], monitor: str) -> None:
    """Draw loss, monitored score and learning rate against the step; if there was no step, write no picture."""
    if not any(line["step"] for line in metrics):
        return
    train = [line for line in metrics if line["kind"] == "train"]
    val = [line for line in metrics if line["kind"] == "val"]
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 3), ("loss", monitor, "lr"), strict=True):
        for lines, label, style, colour in ((train, "train", "-", _TRAIN), (val, "validation", "o-", _VAL)):
            known = [line for line in lines if name in line]
            if known:
                xs, ys = [line["step"] for line in known], [line[name] for line in known]
                axes.plot(xs, ys, style, color=colour, label=label)
        axes.set_title("learning rate" if name == "lr" else name.replace("_", " "))
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(frameon=False)
    save_figure(figure, path)
