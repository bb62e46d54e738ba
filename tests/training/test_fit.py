"""The loop by itself, without a run directory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import BATCH, STEPS_PER_EPOCH, metrics, train

from multiresconv.models import load
from multiresconv.tasks import ListOps, ListOpsData, PooledModelOptions
from multiresconv.training.fit import fit
from multiresconv.training.options import OptimizerOptions, TrainerOptions
from multiresconv.training.recorder import MemoryRecorder
from multiresconv.training.state import RunState
from multiresconv.training.stopping import Stopped, StopRequest

pytestmark = pytest.mark.slow

OPTIMIZER = OptimizerOptions(lr=0.01)
TRAINER = TrainerOptions(epochs=3, batch_size=BATCH, eval_batch_size=BATCH, log_every=3, accelerator="cpu")


@pytest.fixture
def task(data: Path) -> ListOps:
    """That of the tiny run."""
    network = PooledModelOptions(
        n_layers=2, d_model=8, depth=3, kernel_size=4, dropout=0.1, norm="batch", own_skip_init=True
    )
    return ListOps(ListOpsData(folder=data), network)


def timeless(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines without what depends on the clock."""
    return [{k: v for k, v in line.items() if k not in ("seconds", "samples_per_second")} for line in lines]


@pytest.mark.parametrize(("epochs", "every"), [(3, 1), (50, 4)])
def test_the_curve_of_a_short_run_has_points(task: ListOps, epochs: int, every: int) -> None:
    recorder, trainer = MemoryRecorder(), replace(TRAINER, epochs=epochs, log_every=None)
    fit(task, OPTIMIZER, trainer, recorder=recorder)
    steps = [line["step"] for line in recorder.lines if line["kind"] == "train"]
    assert steps == list(range(every, epochs * STEPS_PER_EPOCH + 1, every))


def test_in_memory_it_trains_as_into_a_directory(
    task: ListOps, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    assert train(data, run) == 0
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    recorder = MemoryRecorder()
    state = fit(task, OPTIMIZER, TRAINER, recorder=recorder)
    assert not list(Path().iterdir())
    assert state.step == 3 * STEPS_PER_EPOCH
    assert timeless(recorder.lines) == metrics(run)
    assert recorder.best is not None
    expected = load(run / "model").state_dict()
    assert recorder.best.model.keys() == expected.keys()
    assert all(torch.equal(recorder.best.model[name], expected[name]) for name in expected)


def test_in_memory_it_goes_on_where_it_stopped(task: ListOps, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, first, second = MemoryRecorder(), MemoryRecorder(), MemoryRecorder()
    fit(task, OPTIMIZER, TRAINER, recorder=whole)
    asked = iter(range(1_000_000))
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "wanted", lambda self: next(asked) == STEPS_PER_EPOCH // 2)
        with pytest.raises(Stopped):
            fit(task, OPTIMIZER, TRAINER, recorder=first)
    assert first.last is not None
    assert 0 < first.last.state.step < STEPS_PER_EPOCH
    fit(task, OPTIMIZER, TRAINER, recorder=second, resumed=first.last)
    assert timeless([*first.lines, *second.lines]) == timeless(whole.lines)
    assert second.last is not None
    assert whole.last is not None
    assert all(torch.equal(second.last.model[name], whole.last.model[name]) for name in whole.last.model)


def test_what_is_kept_does_not_change_while_training_goes_on(task: ListOps) -> None:
    kept = []

    class Recorder(MemoryRecorder):
        def save_last(self, network: torch.nn.Module, optimizer: torch.optim.Optimizer, state: RunState) -> None:
            super().save_last(network, optimizer, state)
            kept.append((self.last, state.step, network.state_dict()["head.weight"].clone()))

    fit(task, OPTIMIZER, TRAINER, recorder=Recorder())
    assert [step for _, step, _ in kept] == [0, *range(STEPS_PER_EPOCH, 3 * STEPS_PER_EPOCH + 1, STEPS_PER_EPOCH)]
    for checkpoint, step, weight in kept:
        assert checkpoint.state.step == step
        assert torch.equal(checkpoint.model["head.weight"], weight)
    assert not torch.equal(kept[0][2], kept[1][2])
