"""A run that was stopped and resumed ends with the numbers of one that was not, bit for bit."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from seeded import python
from tiny_run import STEPS_PER_EPOCH, metrics, train, train_arguments

from multiresconv.cli import main
from multiresconv.data import Batch
from multiresconv.tasks import ListOps, Outcome
from multiresconv.training.stopping import StopRequest

pytestmark = pytest.mark.slow

VAL_BATCHES = 2
MOMENTS = 3 * (STEPS_PER_EPOCH + VAL_BATCHES)  # of three epochs: after every training step and every validation batch


class StopAt(StopRequest):
    """Wants to stop when asked for the n-th time."""

    n = 0

    def wanted(self) -> bool:
        StopAt.n -= 1
        return StopAt.n == 0


@pytest.fixture(scope="module")
def whole(run: Path) -> Path:
    """A run that nothing interrupted."""
    return run


def assert_same_run(run: Path, whole: Path) -> None:
    assert metrics(run) == metrics(whole)
    for name in ("last", "best"):
        a, b = (torch.load(r / "checkpoints" / f"{name}.ckpt", weights_only=True) for r in (run, whole))
        assert a["model"].keys() == b["model"].keys()
        for key in a["model"]:
            assert torch.equal(a["model"][key], b["model"][key]), f"{name}: {key}"
        for mine, theirs in zip(a["optimizer"]["state"].values(), b["optimizer"]["state"].values(), strict=True):
            assert all(torch.equal(mine[key], theirs[key]) for key in mine)
        assert a["state"]["step"] == b["state"]["step"]
    assert (run / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("moment", range(1, MOMENTS + 1))
def test_stopped_anywhere_and_resumed_is_as_never_stopped(
    moment: int, data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiresconv.runs.train.draw", lambda *_: None)
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("multiresconv.training.fit.StopRequest", StopAt)
        StopAt.n = moment
        assert train(data, run) == 0
    assert StopAt.n == 0, "the run went on after it was asked to stop"
    assert main(["train", "listops", "--resume", str(run)]) == 0
    assert_same_run(run, whole)


def test_stopped_at_every_second_moment_is_as_never_stopped(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiresconv.runs.train.draw", lambda *_: None)
    monkeypatch.setattr("multiresconv.training.fit.StopRequest", StopAt)
    run, sittings = tmp_path / "run", 0
    arguments = train_arguments(data, run)
    while sittings == 0 or StopAt.n == 0:
        StopAt.n = 3
        assert main(arguments) == 0
        arguments = ["train", "listops", "--resume", str(run)]
        sittings += 1
    assert sittings > 3
    assert_same_run(run, whole)


SIGNAL_ITSELF = """
import os, sys
from multiresconv.cli import main
from multiresconv.data import Batch
from multiresconv.tasks import ListOps, Outcome
from multiresconv.tasks.listops import ListOps

left, number, times = map(int, sys.argv[1:4])
run_batch = ListOps.run

def run(self, model, batch):
    global left
    left -= 1
    if left == 0:
        for _ in range(times):
            os.kill(os.getpid(), number)
    return run_batch(self, model, batch)

ListOps.run = run
sys.exit(main(sys.argv[4:]))
"""


def train_and_signal_itself(
    number: int, batch: int, arguments: list[str], times: int = 1
) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own that sends itself a signal within its n-th batch, validation batches included."""
    command = python(SIGNAL_ITSELF, batch, number, times, *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_killed_in_the_middle_of_an_epoch_it_loses_what_came_after_the_last_checkpoint(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    batch = STEPS_PER_EPOCH + VAL_BATCHES + 4  # the last step of the second epoch
    arguments = train_arguments(data, run, trainer__checkpoint_steps=STEPS_PER_EPOCH)
    killed = train_and_signal_itself(signal.SIGKILL, batch, arguments)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state"]
    assert state["step"] == STEPS_PER_EPOCH
    assert metrics(run)[-1]["step"] > STEPS_PER_EPOCH, "a line of later steps, which will be run again"
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"kind": "train", "step": 7, "epo')  # a line that the kill cut short
    assert main(["train", "listops", "--resume", str(run)]) == 0
    assert_same_run(run, whole)


def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(data: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    stopped = train_and_signal_itself(signal.SIGINT, 2, train_arguments(data, run))
    assert stopped.returncode == 130, stopped.stderr
    assert f"stopped after step 2; go on with: multiresconv train listops --resume {run}" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert main(["train", "listops", "--resume", str(run)]) == 0
    assert_same_run(run, whole)


def test_a_second_ctrl_c_waits_for_nothing_and_says_how_to_go_on(data: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "a run"
    stopped = train_and_signal_itself(signal.SIGINT, 2, train_arguments(data, run), times=2)
    assert stopped.returncode == 130, stopped.stderr
    assert stopped.stderr.splitlines()[-1].endswith(f"multiresconv train listops --resume '{run}'")
    assert "Traceback" not in stopped.stderr
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state"]["step"] == 0
    assert main(["train", "listops", "--resume", str(run)]) == 0
    assert_same_run(run, whole)


def test_sigterm_stops_in_good_order_and_its_handler_is_put_back(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, before = tmp_path / "run", signal.getsignal(signal.SIGTERM)
    run_batch, batches = ListOps.run, iter(range(1000))

    def signal_in_validation(self: ListOps, model: torch.nn.Module, batch: Batch) -> Outcome:
        if next(batches) == STEPS_PER_EPOCH:
            os.kill(os.getpid(), signal.SIGTERM)
        return run_batch(self, model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(ListOps, "run", signal_in_validation)
        assert train(data, run) == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    assert len(metrics(run)) == 1  # no validation line, since that was not finished
    assert main(["train", "listops", "--resume", str(run)]) == 0
    assert_same_run(run, whole)


def test_max_time_stops_after_a_step_with_exit_code_0(data: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(data, run, max_time="00:00:00") == 0
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state"]["step"] == 1
    assert main(["train", "listops", "--resume", str(run), "--max_time", "01:00:00"]) == 0
    assert_same_run(run, whole)


def test_resuming_a_finished_run_changes_nothing(data: Path, whole: Path) -> None:
    before = (whole / "metrics.jsonl").read_bytes(), (whole / "checkpoints" / "last.ckpt").read_bytes()
    assert main(["train", "listops", "--resume", str(whole)]) == 0
    assert before == ((whole / "metrics.jsonl").read_bytes(), (whole / "checkpoints" / "last.ckpt").read_bytes())


def test_more_epochs_go_on_with_the_learning_rates_of_a_longer_run(data: Path, whole: Path, tmp_path: Path) -> None:
    run, longer = tmp_path / "run", tmp_path / "longer"
    shutil.copytree(whole, run)
    resume = ["train", "listops", "--resume", str(run)]
    assert main([*resume, "--trainer.epochs", "5"]) == 0
    assert main(resume) == 0  # the run now has five
    assert train(data, longer, trainer__epochs=5) == 0
    ours, theirs = metrics(run), metrics(longer)
    assert [(line["kind"], line["step"]) for line in ours] == [(line["kind"], line["step"]) for line in theirs]
    rates = [[line["lr"] for line in lines if line["kind"] == "train"] for lines in (ours, theirs)]
    first = 3 * STEPS_PER_EPOCH // 3
    assert rates[0][first:] == rates[1][first:]
    assert rates[0][:first] != rates[1][:first]
    assert main([*resume, "--trainer.epochs", "4"]) == 2


def test_options_that_would_change_a_resumed_run_are_refused_by_name(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resume = ["train", "listops", "--resume", str(whole)]
    assert main([*resume, "--optimizer.lr", "0.5", "--trainer.devices", "1", "--seed", "3"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--optimizer.lr 0.5 --seed 3" in error
    assert "devices" not in error
    assert main([*resume, "--optimizer.lr", "0.01", "--trainer.devices", "1"]) == 0, "what the run has is no change"


def test_a_damaged_checkpoint_is_named(
    whole: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "checkpoints" / "last.ckpt").write_bytes(b"not a checkpoint")
    assert main(["train", "listops", "--resume", str(run)]) == 2
    assert "last.ckpt: damaged" in capsys.readouterr().err
