"""Pictures are PNG files that show what they were given."""

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from multiresconv.runs import pictures
from multiresconv.runs.pictures import draw_curves, save_figure
from multiresconv.tasks.confusion import draw_confusion

CLASSES = tuple("0123456789")


def pixels(path: Path) -> NDArray[Any]:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return matplotlib.image.imread(path)


def curve(losses: list[float]) -> list[dict[str, Any]]:
    train = [{"kind": "train", "step": i, "loss": x, "accuracy": 0.5, "lr": 1e-3} for i, x in enumerate(losses)]
    return [*train, {"kind": "val", "step": len(losses), "loss": losses[-1], "accuracy": 0.5}]


def test_curves_show_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(pictures, "save_figure", lambda figure, path: figures.append(figure))
    lines = [
        {"kind": "train", "step": 10, "loss": 3.0, "accuracy": 0.1, "lr": 0.2},
        {"kind": "train", "step": 20, "loss": 2.0, "accuracy": 0.4, "lr": 0.1},
        {"kind": "val", "step": 20, "loss": 2.5, "accuracy": 0.3},
    ]
    draw_curves(tmp_path / "curves.png", lines, "accuracy")
    shown = {
        axes.get_title(): {str(line.get_label()): np.asarray(line.get_xydata()).tolist() for line in axes.lines}
        for axes in figures[0].axes
    }
    assert shown == {
        "loss": {"train": [[10, 3.0], [20, 2.0]], "validation": [[20, 2.5]]},
        "accuracy": {"train": [[10, 0.1], [20, 0.4]], "validation": [[20, 0.3]]},
        "learning rate": {"train": [[10, 0.2], [20, 0.1]]},
    }


def test_curves_are_a_picture(tmp_path: Path) -> None:
    draw_curves(tmp_path / "curves.png", curve([3.0, 2.0, 1.0]), "accuracy")
    assert pixels(tmp_path / "curves.png").std() > 0.01
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_curves_of_nothing_are_not_drawn(tmp_path: Path) -> None:
    draw_curves(tmp_path / "curves.png", [], "accuracy")
    assert list(tmp_path.iterdir()) == []


def test_curves_before_the_first_validation_and_of_a_task_without_accuracy(tmp_path: Path) -> None:
    lines = [{"kind": "train", "step": 1, "loss": 1.0, "lr": 0.1}, {"kind": "train", "step": 2, "loss": 0.5, "lr": 0.1}]
    draw_curves(tmp_path / "curves.png", lines, "accuracy")
    assert pixels(tmp_path / "curves.png").std() > 0.01


def test_confusion_shows_where_the_counts_are(tmp_path: Path) -> None:
    """A 9 taken for a 0 is dark at the lower left; classes that never occur do no harm."""
    counts = torch.zeros(10, 10, dtype=torch.int64)
    counts[9, 0] = 7
    save_figure(draw_confusion(counts, CLASSES, "title"), tmp_path / "confusion.png")
    picture = pixels(tmp_path / "confusion.png")[..., :3]
    height, width, _ = picture.shape
    darkest = np.array([8, 48, 107]) / 255  # of "Blues"; there is a bar of it at the right, too
    rows, columns = np.nonzero(np.abs(picture[:, : width // 2] - darkest).max(2) < 0.02)
    assert len(rows) > 500
    assert rows.min() > 0.7 * height
    assert columns.max() < 0.25 * width
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.png"]
