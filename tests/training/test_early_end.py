"""Runs that end before their last epoch: patience, time limit, ties between validations, loggers."""

import csv
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from tiny_run import BATCH, STEPS_PER_EPOCH, train

from multiresconv.tasks import ListOps, ListOpsData, PooledModelOptions
from multiresconv.training.fit import fit
from multiresconv.training.module import TrainingModule
from multiresconv.training.options import OptimizerOptions, TrainerOptions
from multiresconv.training.recorder import MemoryRecorder
from multiresconv.training.schedule import learning_rate
from multiresconv.training.state import Best
from multiresconv.training.stopping import Stopped, StopRequest

pytestmark = pytest.mark.slow

STILL = OptimizerOptions(lr=1e-30)  # too small to change a float32 weight
TRAINER = TrainerOptions(epochs=6, batch_size=BATCH, eval_batch_size=BATCH, log_every=3, accelerator="cpu")


@pytest.fixture
def task(data: Path) -> ListOps:
    return ListOps(ListOpsData(folder=data), PooledModelOptions(n_layers=1, d_model=8, depth=3))


@pytest.fixture
def a_second_per_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every step and every validation take one second."""

    def tick(self: TrainingModule) -> float:
        self.state.seconds += 1.0
        return 1.0

    monkeypatch.setattr(TrainingModule, "tick", tick)


def test_patience_ends_a_run_that_does_not_improve(task: ListOps) -> None:
    recorder = MemoryRecorder()
    state = fit(task, STILL, replace(TRAINER, patience=2), recorder=recorder)
    assert state.validated_epochs == 3
    assert state.best is not None
    assert state.best.epoch == 1
    assert recorder.last is not None
    again = fit(task, STILL, replace(TRAINER, patience=2), recorder=MemoryRecorder(), resumed=recorder.last)
    assert again.step == 3 * STEPS_PER_EPOCH  # a run that is over stays as it is


def test_the_loss_decides_between_equal_scores() -> None:
    def rank(score: float, loss: float, maximize: bool = True) -> tuple[float, float]:
        return Best(1, 1, score, {"loss": torch.tensor(loss)}).rank(maximize=maximize)

    assert rank(0.5, 1.0) > rank(0.5, 1.1) > rank(0.4, 0.1)
    assert rank(0.4, 1.0, maximize=False) > rank(0.4, 1.1, maximize=False) > rank(0.5, 0.1, maximize=False)


@pytest.mark.usefixtures("a_second_per_tick")
def test_a_time_limit_ends_within_an_epoch_with_a_validation(task: ListOps) -> None:
    recorder, limit = MemoryRecorder(), timedelta(seconds=STEPS_PER_EPOCH + 3)
    state = fit(task, OptimizerOptions(), replace(TRAINER, log_every=1), recorder=recorder, time_limit=limit)
    assert STEPS_PER_EPOCH < state.step < 2 * STEPS_PER_EPOCH
    assert state.validated_epochs == 2
    assert [line["kind"] for line in recorder.lines][-1] == "val"
    rates = [line["lr"] for line in recorder.lines if line["kind"] == "train"]
    assert rates[-1] < 0.05 * max(rates)  # the decay follows the time
    again = fit(task, OptimizerOptions(), TRAINER, recorder=MemoryRecorder(), resumed=recorder.last, time_limit=limit)
    assert again.step == state.step


@pytest.mark.usefixtures("a_second_per_tick")
def test_a_run_that_is_stopped_in_its_last_validation_still_validates(
    task: ListOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, limit = MemoryRecorder(), timedelta(seconds=3)
    with monkeypatch.context() as patch:
        patch.setattr(
            StopRequest, "wanted", lambda self: recorder.last is not None and bool(recorder.lines), raising=True
        )
        with pytest.raises(Stopped):
            fit(task, OptimizerOptions(), replace(TRAINER, log_every=3), recorder=recorder, time_limit=limit)
    assert recorder.last is not None
    second = MemoryRecorder()
    state = fit(task, OptimizerOptions(), TRAINER, recorder=second, resumed=recorder.last, time_limit=limit)
    assert state.validated_epochs == 1
    assert not state.awaits_validation


def test_a_time_limit_is_above_zero(task: ListOps) -> None:
    with pytest.raises(ValueError, match="time_limit: expected more than 0"):
        fit(task, STILL, TRAINER, recorder=MemoryRecorder(), time_limit=timedelta(0))


@pytest.mark.parametrize("time_used", [0.0, 0.3, 1.0])
def test_the_decay_follows_steps_or_time_whichever_is_further(time_used: float) -> None:
    def rate(step: int, used: float) -> float:
        return learning_rate(step, peak=1.0, warmup_steps=0, total_steps=10, time_used=used)

    assert rate(0, time_used) == pytest.approx(rate(int(10 * time_used), 0.0))
    assert rate(10, time_used) == pytest.approx(0.0)


def test_options_that_are_left_open_come_from_the_task() -> None:
    left_open = TrainerOptions(epochs=None, batch_size=None)
    assert left_open.settled({"epochs": 7, "batch_size": 5}) == TrainerOptions(epochs=7, batch_size=5)
    by_tokens = TrainerOptions(epochs=None, batch_size=None, batch_tokens=100)
    assert by_tokens.settled({"epochs": 7}).batch_size is None
    assert TrainerOptions().settled({"epochs": 7}) == TrainerOptions()
    with pytest.raises(ValueError, match=r"trainer\.epochs: expected a number; this task chooses none"):
        left_open.settled({})


def test_the_csv_logger_gets_the_numbers(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "run", trainer__logger="csv") == 0
    (file,) = (tmp_path / "run" / "logs").rglob("metrics.csv")
    rows = list(csv.DictReader(file.open()))
    assert [row["val/accuracy"] for row in rows if row["val/accuracy"]]
    assert [row["train/loss"] for row in rows if row["train/loss"]]


def test_a_logger_that_is_not_installed_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("multiresconv.runs.recorder.find_spec", lambda name: None)
    assert train(data, tmp_path / "run", trainer__logger="wandb") == 2
    assert "pip install wandb" in capfd.readouterr().err
