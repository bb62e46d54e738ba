"""Pictures are PNG files that show what they were given."""

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import torch
from numpy.typing import NDArray

from multiresconv.training.pictures import draw_confusion, draw_curves

CLASSES = tuple("0123456789")


def pixels(path: Path) -> NDArray[Any]:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return matplotlib.image.imread(path)


def curve(losses: list[float]) -> list[dict[str, Any]]:
    train = [{"kind": "train", "step": i, "loss": x, "accuracy": 0.5, "lr": 1e-3} for i, x in enumerate(losses)]
    return [*train, {"kind": "val", "step": len(losses), "loss": losses[-1], "accuracy": 0.5}]


def test_curves_show_the_losses(tmp_path: Path) -> None:
    for name, losses in {"falling": [3.0, 2.0, 1.0], "rising": [1.0, 2.0, 3.0], "again": [3.0, 2.0, 1.0]}.items():
        draw_curves(tmp_path / f"{name}.png", curve(losses))
    falling, rising, again = (pixels(tmp_path / f"{name}.png") for name in ("falling", "rising", "again"))
    assert np.array_equal(falling, again)
    assert falling.shape != rising.shape or not np.array_equal(falling, rising)


def test_curves_of_nothing_are_not_drawn(tmp_path: Path) -> None:
    draw_curves(tmp_path / "curves.png", [])
    assert list(tmp_path.iterdir()) == []


def test_curves_before_the_first_validation_and_of_a_task_without_accuracy(tmp_path: Path) -> None:
    lines = [{"kind": "train", "step": 1, "loss": 1.0, "lr": 0.1}, {"kind": "train", "step": 2, "loss": 0.5, "lr": 0.1}]
    draw_curves(tmp_path / "curves.png", lines)
    assert pixels(tmp_path / "curves.png").std() > 0.01


def test_confusion_shows_where_the_counts_are(tmp_path: Path) -> None:
    """A diagonal of counts is dark, its mirror image is dark elsewhere; classes that never occur do no harm."""
    counts = torch.zeros(10, 10, dtype=torch.int64)
    counts[range(5), range(5)] = 7
    draw_confusion(tmp_path / "diagonal.png", counts, CLASSES, "title")
    draw_confusion(tmp_path / "mirrored.png", counts.flip(1), CLASSES, "title")
    diagonal, mirrored = pixels(tmp_path / "diagonal.png"), pixels(tmp_path / "mirrored.png")
    assert not np.array_equal(diagonal, mirrored)
    dark = np.argwhere(diagonal[..., :3].sum(2) < 0.9)
    assert len(dark) > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["diagonal.png", "mirrored.png"]
