"""A loss, a weight or a validation that is not finite stops a run, and nothing of it is saved."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_run import STEPS_PER_EPOCH, metrics, train, write_data

from multiresconv.data import Batch
from multiresconv.tasks import ListOps, Outcome

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "listops")


def change_batch(
    monkeypatch: pytest.MonkeyPatch, n: int, change: Callable[[Outcome, torch.nn.Module], Outcome]
) -> None:
    """Let the n-th batch that a network is given come out changed."""
    run_batch, batches = ListOps.run, iter(range(1, 10_000))

    def changed(self: ListOps, model: torch.nn.Module, batch: Batch) -> Outcome:
        outcome = run_batch(self, model, batch)
        return change(outcome, model) if next(batches) == n else outcome

    monkeypatch.setattr(ListOps, "run", changed)


def steep(outcome: Outcome, model: torch.nn.Module) -> Outcome:
    """The same loss, but its gradient is 0 times infinity."""
    nothing = sum(parameter.sum() for parameter in model.parameters()) * 0.0
    return outcome._replace(losses=outcome.losses + torch.as_tensor(nothing).abs().sqrt())


def test_a_loss_that_is_not_finite_stops_before_its_step(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def poison(outcome: Outcome, _: torch.nn.Module) -> Outcome:
        factors = torch.ones_like(outcome.losses)
        factors[2] = math.nan
        return outcome._replace(losses=outcome.losses * factors)

    change_batch(monkeypatch, STEPS_PER_EPOCH + 2 + 3, poison)  # after the first validation, which has two batches
    assert train(data, tmp_path / "run", trainer__checkpoint_steps=1) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("multiresconv: error: the loss is not finite at step 7, epoch 2, batch 3 of 4, rows ")
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["state"]["step"] == 6
    assert all(torch.isfinite(value).all() for value in last["model"].values())


def test_weights_that_are_not_finite_are_never_saved(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change_batch(monkeypatch, 3, steep)
    assert train(data, tmp_path / "run", trainer__checkpoint_steps=1) == 2
    assert "a weight is not finite after step 3" in capsys.readouterr().err
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["state"]["step"] == 2
    assert all(torch.isfinite(value).all() for value in last["model"].values())


def test_a_model_that_is_not_finite_is_neither_scored_nor_saved(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change_batch(monkeypatch, STEPS_PER_EPOCH, steep)
    assert train(data, tmp_path / "run") == 2
    assert f"a weight is not finite after step {STEPS_PER_EPOCH}" in capsys.readouterr().err
    assert [line["kind"] for line in metrics(tmp_path / "run")] == ["train"]
    assert not (tmp_path / "run" / "model").exists()
    assert not (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()


def test_a_validation_loss_that_is_not_finite_stops_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change_batch(monkeypatch, STEPS_PER_EPOCH + 1, lambda outcome, _: outcome._replace(losses=outcome.losses / 0))
    assert train(data, tmp_path / "run") == 2
    assert f"the validation loss is not finite after step {STEPS_PER_EPOCH}" in capsys.readouterr().err
    assert [line["kind"] for line in metrics(tmp_path / "run")] == ["train"]
    assert not (tmp_path / "run" / "model").exists()
