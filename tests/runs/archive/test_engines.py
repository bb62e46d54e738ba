"""Processes here and on Ray give the answers of one process, also if they are killed."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from seeded import MODULE, python, python_module
from tiny_archives import classifier, fatal_environment, predicted, write_archive

from multiresconv.cli import main
from multiresconv.installation import how_to_install
from multiresconv.runs.archive.local import run_local

pytestmark = pytest.mark.slow

LENGTHS = [30, 80, 45, 60, 31, 90, 33]
ROWS_OF_PART = 2
# A shell's background jobs, and what they start, ignore Ctrl-C
LISTENS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classifier(tmp_path_factory.mktemp("model") / "model")


def arguments(model: Path, table: Path, out: Path, engine: str = "local") -> list[str]:
    """The arguments of `multiresconv predict` with two workers."""
    given = {"table": table, "out": out, "engine": engine, "workers": 2, "rows_of_part": ROWS_OF_PART}
    return ["predict", str(model), *(f"--{name}={value}" for name, value in given.items())]


def command(*given: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    program = python_module("multiresconv.cli", *given)
    return subprocess.run(program, capture_output=True, text=True, timeout=300, env=environment)


def errors(text: str) -> list[str]:
    """Lines of standard error that are neither about the progress nor what Ray says of a process that died."""
    return [line for line in text.splitlines() if " rows/s, " not in line and "(raylet)" not in line]


def inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.glob("part-*.parquet")}


def assert_same(answers: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(answers, expected, check_exact=False, rtol=0, atol=1e-6)


def write_fatal_archive(folder: Path, **names: int) -> Path:
    """Write an archive whose row `row` has the name `name.csv`, for each `name=row`."""
    of_row = {row: f"{name}.csv" for name, row in names.items()}
    return write_archive(folder, LENGTHS, [of_row.get(row, f"r{row}.csv") for row in range(len(LENGTHS))])


def assert_only_what_is_fatal_is_missing(answers: pd.DataFrame, expected: pd.DataFrame, row: int) -> None:
    assert answers["error"][row] == "each process that read or computed it died, perhaps for lack of memory"
    assert answers.loc[row, "label":"probability_wild"].isna().all()
    assert_same(answers.drop(row), expected.drop(row))


def test_processes_give_the_answers_of_one_although_some_are_killed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process that opens one file is killed, and every process that opens another."""
    table = write_fatal_archive(tmp_path / "a", once=1, fatal=6)
    monkeypatch.setenv("PYTHONPATH", fatal_environment(tmp_path / "fatal")["PYTHONPATH"])
    run = partial(run_local, workers=2)
    answers, totals = predicted(model, table, tmp_path / "two", run=run, rows_of_part=ROWS_OF_PART)
    assert totals == (len(LENGTHS), 1)
    assert (tmp_path / "fatal" / "once").exists()
    expected, _ = predicted(model, table, tmp_path / "one")
    assert_only_what_is_fatal_is_missing(answers, expected, 6)


def test_a_killed_command_goes_on_with_what_is_missing(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = write_fatal_archive(tmp_path / "a", killer=6), tmp_path / "out"
    killed = command(*arguments(model, table, out), environment=fatal_environment(tmp_path / "fatal"))
    assert killed.returncode == -signal.SIGKILL
    assert not (out / "_SUCCESS").exists()
    before = inodes(out)
    assert 0 < len(before) < 4
    assert main(arguments(model, table, out)) == 0
    assert capsys.readouterr().out == f"{out}: {len(LENGTHS)} rows, none failed\n"
    assert before.items() <= inodes(out).items()
    expected, _ = predicted(model, table, tmp_path / "one")
    assert_same(pd.read_parquet(out), expected)


def test_ctrl_c_leaves_whole_parts_and_no_process(model: Path, tmp_path: Path) -> None:
    table, out = write_archive(tmp_path / "a", LENGTHS[:4]), tmp_path / "out"
    os.mkfifo(tmp_path / "a" / "waits.csv")  # nobody writes into it: who reads it waits
    table.write_text(table.read_text() + "waits.csv,patient x\n")
    program = python(LISTENS + MODULE, "multiresconv.cli", *arguments(model, table, out))
    running = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
    reader = None
    while running.poll() is None and (len(inodes(out)) < 2 or reader is None):
        signal.sigtimedwait([], 0.05)
        if reader is None:
            with suppress(OSError):  # nobody reads it yet
                reader = os.open(tmp_path / "a" / "waits.csv", os.O_WRONLY | os.O_NONBLOCK)
    os.killpg(running.pid, signal.SIGINT)  # to the whole group, as a terminal does
    said, complained = running.communicate(timeout=60)  # returns once the workers, which have its pipes, have ended too
    assert (running.returncode, said, errors(complained)) == (130, "", [])
    assert pd.read_parquet(out)["row"].tolist() == [0, 1, 2, 3]
    assert reader is not None
    os.close(reader)


def test_a_model_that_processes_cannot_load_is_one_line(model: Path, tmp_path: Path) -> None:
    table = write_archive(tmp_path / "a", [30])
    with pytest.raises(ValueError, match="torch finds no GPU"):
        predicted(model, table, tmp_path / "out", run=partial(run_local, workers=1), device="cuda")


def processes_with(text: str) -> list[str]:
    """The processes of this machine whose environment holds a text."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if text.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: the extra ray")
def test_ray_gives_the_answers_of_one_process_although_some_are_killed(model: Path, tmp_path: Path) -> None:
    table, out = write_fatal_archive(tmp_path / "a", once=1, fatal=6), tmp_path / "out"
    (tmp_path / "a" / "r2.csv").write_text("pressure,flow\n1,two\n")
    done = command(*arguments(model, table, out, "ray"), environment=fatal_environment(tmp_path / "fatal"))
    assert (done.returncode, errors(done.stderr)) == (1, [])
    assert done.stdout == f"{out}: {len(LENGTHS)} rows, 2 failed, see the column error\n"
    assert (tmp_path / "fatal" / "once").exists()
    expected, _ = predicted(model, table, tmp_path / "one")
    assert_only_what_is_fatal_is_missing(pd.read_parquet(out), expected, 6)
    assert expected["error"].notna().tolist() == [row == 2 for row in range(len(LENGTHS))]
    for _ in range(100):  # Ray's own processes end a moment after the command
        if not (left := processes_with(str(tmp_path / "fatal"))):
            break
        signal.sigtimedwait([], 0.2)
    assert left == []


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: the extra ray")
def test_an_address_where_nothing_answers_is_one_line(model: Path, tmp_path: Path) -> None:
    table = write_archive(tmp_path / "a", [30])
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # a port that nobody listens on
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        done = command(*arguments(model, table, tmp_path / "out", "ray"), f"--address={address}")
    assert (done.returncode, done.stdout) == (2, "")
    [line] = errors(done.stderr)
    assert f"address: nothing answers at {address} (" in line


def test_without_ray_one_line_says_how_to_get_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    table = write_archive(tmp_path / "a", [30])
    assert main(arguments(model, table, tmp_path / "out", "ray")) == 2
    assert f"Archives on Ray need ray: {how_to_install('ray')}" in capsys.readouterr().err


def test_processes_that_cannot_start_are_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_archive(tmp_path / "a", [30])
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif any('spawn_main' in argument for argument in sys.orig_argv):\n    os._exit(3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert main(arguments(model, table, tmp_path / "out")) == 2
    assert "processes die before they are ready, perhaps for lack of memory" in capsys.readouterr().err
