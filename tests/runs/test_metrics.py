"""Lines of metrics.jsonl are read as they were written, or refused with file and line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

from multiresconv.cli import main
from multiresconv.runs.metrics import read_lines

TRAIN: dict[str, Any] = {
    "kind": "train",
    "step": 3,
    "epoch": 1,
    "loss": 2.3,
    "accuracy": 0.5,
    "lr": 0.01,
    "samples_per_second": 100.0,
    "seconds": 0.5,
}
VAL: dict[str, Any] = {
    "kind": "val",
    "step": 4,
    "epoch": 1,
    "loss": 2.2,
    "accuracy": 0.4,
    "n": 10,
    "best": True,
    "seconds": 0.7,
}


def without(line: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key != name}


WRONG: dict[str, tuple[str, str]] = {
    **{
        f"step {step!r}": (json.dumps({**VAL, "step": step}), "step: expected an integer of at least 0")
        for step in ("4", None, [4], {}, 4.0, 2.5, True, -4, 10**30)
    },
    **{
        f"loss {loss!r}": (json.dumps({**VAL, "loss": loss}), "loss: expected a finite number")
        for loss in ("low", None, [2.2], False)
    },
    "loss NaN": (json.dumps({**VAL, "loss": float("nan")}), "expected finite numbers, got NaN"),
    "loss infinite": (json.dumps({**VAL, "loss": float("inf")}), "expected finite numbers, got Infinity"),
    "loss 1e999": (json.dumps(VAL).replace("2.2", "1e999"), "loss: expected a finite number, got inf"),
    "another score text": (json.dumps({**VAL, "n": "ten"}), "n: expected a finite number, got 'ten'"),
    "no score": (json.dumps(without(VAL, "accuracy")), "accuracy: missing"),
    "no kind": (json.dumps(without(VAL, "kind")), "kind: expected one of train, val, got None"),
    "unknown kind": (json.dumps({**VAL, "kind": "test"}), "kind: expected one of train, val, got 'test'"),
    "kind list": (json.dumps({**VAL, "kind": ["val"]}), "kind: expected one of train, val, got a list"),
    "no epoch": (json.dumps(without(VAL, "epoch")), "epoch: missing"),
    "best 1": (json.dumps({**VAL, "best": 1}), "best: expected true or false, got 1"),
    "negative lr": (json.dumps({**TRAIN, "step": 4, "lr": -1}), "lr: expected a finite number of at least 0, got -1"),
    "empty": ("", "damaged"),
    "list": ("[]", "expected a mapping, got a list"),
    "number": ("3", "expected a mapping, got 3"),
    "half": (json.dumps(VAL)[:-9], "damaged"),
    "nested": ("[" * 100_000, "nested too deeply"),
    "nested objects": ('{"a":' * 100_000, "nested too deeply"),
    "digits": (json.dumps(VAL).replace("2.2", "9" * 10_000), "damaged"),
    "step 0": (json.dumps({**VAL, "step": 0}), "step 0 follows step 3"),
    "train at step 0": (json.dumps({**TRAIN, "step": 0}), "step: expected an integer of at least 1"),
    "twice": (json.dumps(TRAIN), "step 3 follows step 3"),
    "back": (json.dumps({**VAL, "step": 2}), "step 2 follows step 3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_line_of_nonsense_is_named(name: str, tmp_path: Path) -> None:
    text, reason = WRONG[name]
    path = tmp_path / "metrics.jsonl"
    path.write_text(f"{json.dumps(TRAIN)}\n{text}\n")
    with pytest.raises(ValueError, match="damaged") as caught:
        read_lines(path, "accuracy")
    assert str(caught.value).startswith(f"{path}, line 2: damaged: ")
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 400


def test_good_lines_are_read_without_an_incomplete_last_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{json.dumps(TRAIN)}\n{json.dumps(VAL)}\n{{"kind": "tr')
    assert read_lines(path, "accuracy") == [TRAIN, VAL]


@pytest.mark.parametrize("path", sorted((ROOT / "results").rglob("metrics.jsonl")), ids=lambda path: path.parent.name)
def test_lines_of_published_runs_are_read(path: Path) -> None:
    assert len(read_lines(path)) == path.read_text().count("\n")


@pytest.mark.slow
def test_a_run_is_not_resumed_with_nonsense(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    with open(copied / "metrics.jsonl", "a") as file:
        file.write('{"kind": "val", "step": 12, "epoch": 3, "loss": "low"}\n')
    before = (copied / "metrics.jsonl").read_bytes()
    number = before.count(b"\n")
    assert main(["train", "listops", "--resume", str(copied)]) == 2
    error = capsys.readouterr().err
    assert f"{copied}/metrics.jsonl, line {number}: damaged" in error
    assert error.count("\n") == 1
    assert (copied / "metrics.jsonl").read_bytes() == before
