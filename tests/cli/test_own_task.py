"""A task in a file of the user's own: `multiresconv train FILE.py:CLASS`."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from tiny_table import write_recordings

from multiresconv.cli import main
from multiresconv.cli.own_task import REFERENCES
from multiresconv.cli.tasks import TASKS

EXAMPLE = ROOT / "examples" / "my_tasks.py"
SMALL = ["--model.d_model", "8", "--model.n_layers", "1", "--trainer.epochs", "1", "--trainer.accelerator", "cpu"]


@pytest.fixture(autouse=True)
def tasks_as_before() -> Iterator[None]:
    """Remove tasks that a test added."""
    before = dict(TASKS)
    yield
    TASKS.clear()
    TASKS.update(before)
    REFERENCES.clear()


@pytest.mark.slow
def test_it_trains_resumes_and_is_evaluated(tmp_path: Path, capfd: Any) -> None:
    table, run = write_recordings(tmp_path / "data"), tmp_path / "run"
    options = ["--data.table", str(table), "--data.target", "speed", "--task.delta", "0.5", "--run", str(run), *SMALL]
    assert main(["train", f"{EXAMPLE}:Pressure", *options, "--max_time", "00:00:00"]) == 0
    assert f"multiresconv train {EXAMPLE}:Pressure --resume" in capfd.readouterr().err
    assert main(["train", f"{EXAMPLE}:Pressure", "--resume", str(run)]) == 0
    assert json.loads((run / "run.json").read_text())["task"] == "pressure"
    assert "delta: 0.5" in (run / "config.yaml").read_text()
    TASKS.pop("pressure")  # as in a new process
    assert main(["evaluate", str(run)]) == 2
    assert "--task FILE.py:CLASS" in capfd.readouterr().err
    assert main(["evaluate", str(run), "--task", f"{EXAMPLE}:Pressure"]) == 0
    TASKS.pop("pressure")
    assert main(["report", str(run), f"--task={EXAMPLE}:Pressure"]) == 0
    TASKS.pop("pressure")
    assert main(["predict", str(run), str(table.parent / "r000.csv")]) == 0  # the model folder is enough


@pytest.mark.parametrize(
    ("source", "reference", "message"),
    [
        (None, "gone.py:Task", "gone.py: no such file"),
        ("x = 1", "mine.py:Task", "expected a class Task, there is none"),
        ("Task = 1", "mine.py:Task", "expected a class Task, there is none"),
        ("class Task: pass", "mine.py:Task", "Task: name: expected a text of a-z, 0-9 and -"),
        ("class Task: name = 'listops'", "mine.py:Task", "name: listops is a task of this package"),
        ("class Task: name = 'mine'", "mine.py:Task", "missing: prepare, decided, fingerprint"),
    ],
)
def test_what_is_no_task_is_named(
    source: str | None, reference: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    if source is not None:
        (tmp_path / "mine.py").write_text(source)
    assert main(["train", reference]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_run_alone_runs_no_file(tmp_path: Path, capfd: Any) -> None:
    shutil.copytree(ROOT / "results" / "smnist", tmp_path / "run")
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "bad.py").write_text("raise SystemExit('ran')")
    (tmp_path / "run" / "run.json").write_text(json.dumps({**about, "task": f"{tmp_path / 'bad.py'}:Task"}))
    assert main(["evaluate", str(tmp_path / "run")]) == 2
    assert "ran" not in capfd.readouterr().err.split()
