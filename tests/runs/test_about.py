"""run.json holds what a run's numbers depend on; a field of another type is named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from paths import ROOT

from multiresconv.cli import main
from multiresconv.runs.about import check_about, other_threads

SPLIT = {"rows": 3, "checksum": "05fe6e0b"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "f: task: missing, expected a text"),
    ({"task": 3}, "f: task: expected a text, got 3"),
    ({"task": ["listops"]}, "f: task: expected a text, got a list"),
    ({"task": "x", "versions": [1]}, "f: versions: expected a mapping, got a list"),
    ({"task": "x", "threads": 0}, "f: threads: expected an integer of at least 1, got 0"),
    ({"task": "x", "data": "all"}, "f: data: expected a mapping, got 'all'"),
    ({"task": "x", "data": {"train": 3}}, "f: data: train: expected a mapping, got 3"),
    ({"task": "x", "data": {"train": {"rows": 3}}}, "f: data: train: checksum: missing"),
    ({"task": "x", "data": {"val": {**SPLIT, "rows": 2.5}}}, "f: data: val: rows: expected an integer"),
    ({"task": "x", "data": {"classes": [1]}}, "f: data: classes: expected a list"),
    ({"task": "x", "data": {"standardiser": {"mean": 0.0}}}, "f: data: standardiser: std: missing"),
    ({"task": "x", "data": {"standardiser": {"mean": "0", "std": 1}}}, "f: data: standardiser: mean: expected"),
]


@pytest.mark.parametrize(("about", "message"), WRONG, ids=range(len(WRONG)))
def test_a_field_of_another_type_is_named(about: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^f: ") as caught:
        check_about(about, "f")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("path", sorted((ROOT / "results").rglob("run.json")), ids=lambda path: path.parent.name)
def test_published_runs_are_read(path: Path) -> None:
    check_about(json.loads(path.read_text()), str(path))


def test_fields_of_later_versions_are_allowed() -> None:
    check_about({"task": "x", "more": [1], "data": {"train": {**SPLIT, "more": 1}, "more": 1}}, "f")


@pytest.mark.slow
def test_another_number_of_threads_is_said_once(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    assert main(["train", "listops", "--resume", str(copied)]) == 0
    assert "threads" not in capsys.readouterr().err
    about = json.loads((copied / "run.json").read_text())
    assert about["threads"] == torch.get_num_threads()
    assert other_threads(about) is None
    (copied / "run.json").write_text(json.dumps({**about, "threads": 7}))
    assert main(["train", "listops", "--resume", str(copied)]) == 0
    line = f"{copied}/run.json: the run began with 7 threads and goes on with 1: its numbers will differ"
    assert capsys.readouterr().err.count(line) == 1
