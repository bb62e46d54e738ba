"""What `predict` prints: the names of several files, and every label that is present."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from small_models import SIGNAL, classifier, signal

from multiresconv import save
from multiresconv.cli import main
from multiresconv.models import Output


def labels_model(folder: Path, logits: list[float]) -> Path:
    model = classifier(SIGNAL, output=Output("labels", ("a", "b", "c")))
    torch.nn.init.zeros_(model.head.weight)
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor(logits))
    save(model, folder)
    return folder


@pytest.mark.parametrize(
    ("logits", "line", "present"),
    [
        ([3.0, 1.0, -2.0], "a;b\t0.953;0.731\tc:0.119", ["a", "b"]),
        ([-2.0, 0.0, 5.0], "c;b\t0.993;0.500\ta:0.119", ["c", "b"]),
        ([-1.0, 2.0, -2.0], "b\t0.881\ta:0.269 c:0.119", ["b"]),
        ([-1.0, -3.0, -2.0], "-\t-\ta:0.269 c:0.119 b:0.047", []),
    ],
)
def test_all_labels_that_are_present_are_printed(
    logits: list[float], line: str, present: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, file = labels_model(tmp_path / "model", logits), tmp_path / "row.npy"
    np.save(file, signal())
    assert main(["predict", str(model), str(file)]) == 0
    assert capsys.readouterr().out == f"{line}\n"
    assert main(["predict", str(model), str(file), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["labels"] == present
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    runner: Any = pytest.importorskip("multiresconv.export.runner", reason="needs the extra: multiresconv[export]")
    of_labels = SimpleNamespace(output={"kind": "labels"})
    assert runner.shown(of_labels, answer["probabilities"], False) == line


def test_several_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = labels_model(tmp_path / "model", [3.0, -1.0, -2.0])
    one, two = tmp_path / "one.npy", tmp_path / "two.npy"
    np.save(one, signal())
    np.save(two, np.stack([signal(), -signal()]))
    assert main(["predict", str(model), str(one)]) == 0
    alone = capsys.readouterr().out
    assert main(["predict", str(model), str(one), str(two)]) == 0
    assert capsys.readouterr().out == f"{one}\t{alone}{two}\t{alone}{two}\t{alone}"
