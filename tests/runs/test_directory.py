"""The files of a run: whole, of one process at a time, and named when they are damaged or missing."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from seeded import python
from tiny_run import metrics, train, write_data, write_rows

from multiresconv.cli import main
from multiresconv.data.listops import split_path
from multiresconv.runs.directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture
def run(run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to damage."""
    return Path(shutil.copytree(run, tmp_path / "a run"))


VAL = b'{"kind": "val", "step": 4, "epoch": 1, "loss": 2.0, "accuracy": 0.5, "best": true, "seconds": 1.0}'


def resume(run: Path) -> int:
    return main(["train", "listops", "--resume", str(run)])


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.startswith("multiresconv: error: ")
    assert error.count("\n") == 1
    return error


def test_one_process_at_a_time(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunDirectory(run).locked():
        assert resume(run) == 2
        assert f"{run}: another process is training this run" in only_line(capsys)
    assert resume(run) == 0


def test_a_killed_process_leaves_no_lock(run: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from multiresconv.runs.directory import RunDirectory
with RunDirectory(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(python(program, run), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(BlockingIOError, match="another process is training this run"), RunDirectory(run).locked():
            pass
        process.kill()
    with RunDirectory(run).locked():
        pass
    assert (run / ".lock").read_bytes() == b""


def test_what_a_start_that_was_killed_left_is_free(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text("half")
    (run / ".run.part-1.json").touch()
    (run / "mine.txt").touch()
    assert train(data, run, trainer__epochs=1) == 2
    assert "--resume" not in only_line(capsys)
    (run / "mine.txt").unlink()
    assert train(data, run, trainer__epochs=1) == 0
    assert metrics(run)


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("run.json", b'{"task": "list', "run.json: damaged"),
        ("run.json", b"[]", "run.json: damaged: expected a mapping"),
        ("run.json", b"{}", "run.json: damaged: task: missing"),
        ("run.json", b'{"task": 3}', "run.json: damaged: task: expected a text, got 3"),
        ("run.json", b'{"task": "listops", "data": [1]}', "run.json: damaged: data: expected a mapping"),
        ("run.json", b'{"task": "listops", "data": {"train": 3}}', "run.json: damaged: data: train: expected"),
        ("run.json", b"[" * 100_000, "run.json: damaged: nested too deeply"),
        ("run.json", b"\xff", "run.json: damaged"),
        ("config.yaml", b"data: [", "config.yaml: damaged"),
        ("config.yaml", b"", "config.yaml: damaged: expected a mapping"),
        ("config.yaml", b"data: {folder: 3}\nmodel: 4", "config.yaml: not the options"),
        ("metrics.jsonl", VAL + b"\nx\n", "metrics.jsonl, line 2: damaged"),
        ("metrics.jsonl", b'{"kind": "val"}\n', "metrics.jsonl, line 1: damaged: step: missing"),
        ("metrics.jsonl", b"\xff\n", "metrics.jsonl: damaged"),
    ],
)
def test_a_damaged_file_is_named(
    name: str, content: bytes, where: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).write_bytes(content)
    assert resume(run) == 2
    assert f"{run}/{where}" in only_line(capsys)
    assert main(["evaluate", str(run), "--device", "cpu"]) == 2
    assert f"{run}/{where}" in only_line(capsys)


def test_a_checkpoint_of_another_model_is_named(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, tmp_path / "other", model__d_model=4, trainer__epochs=1) == 0
    capsys.readouterr()
    shutil.copy(tmp_path / "other" / "checkpoints" / "last.ckpt", run / "checkpoints")
    assert resume(run) == 2
    assert "last.ckpt: not of the model that config.yaml describes" in only_line(capsys)


def test_a_deleted_model_is_made_again_of_the_best_checkpoint(run: Path) -> None:
    before = (run / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(run / "model")
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    assert (run / "model" / "model.safetensors").read_bytes() == before


def test_a_deleted_last_checkpoint_does_not_start_the_run_anew(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = metrics(run)
    last = run / "checkpoints" / "last.ckpt"
    last.unlink()
    assert resume(run) == 2
    assert f"{last}: missing" in (said := only_line(capsys))
    assert f"copy {last.with_name('best.ckpt')} over it" in said
    shutil.copy(last.with_name("best.ckpt"), last)
    assert resume(run) == 0
    assert metrics(run) == before


def test_a_run_goes_on_with_its_own_data_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data, run = write_data(Path("data")).resolve(), tmp_path / "run"
    assert train(Path("data"), run, max_time="00:00:00", data__cache_folder="caches") == 0
    assert sorted(path.suffix for path in Path("caches").iterdir()) == [".cache", ".cache"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["train", "listops", "--resume", str(run), "--max_time", "00:00:00"]) == 0, "the folder is the same"
    same = ["--data.folder", "../data", "--data.cache_folder", "../others"]
    assert main(["train", "listops", "--resume", str(run), "--max_time", "00:00:00", *same]) == 0
    assert not list(Path().iterdir())
    assert len(list((tmp_path / "caches").iterdir())) == len(list((tmp_path / "others").iterdir())) == 2
    capsys.readouterr()

    rows = split_path(data, "train").read_text()
    write_rows(split_path(data, "train"), 12, seed=0)  # half of them
    assert resume(run) == 2
    assert f"data: expected those that {run} began with, {{'train': {{'rows': 24, " in (said := only_line(capsys))
    assert "got {'train': {'rows': 12, " in said
    shutil.rmtree(data)
    assert resume(run) == 2
    assert f"data.folder: {data} has no data" in only_line(capsys)
    write_data(data)
    assert split_path(data, "train").read_text() == rows
    assert resume(run) == 0
    assert json.loads((run / "run.json").read_text())["data"]["train"]["rows"] == 24
