"""Train a network on sequences that are in memory."""

from datetime import timedelta
from typing import Any, NamedTuple

import torch

from multiresconv.tasks.recording_options import RecordingModelOptions


class Plan(NamedTuple):
    """How to train; None follows from the amount of data, as in `multiresconv train`."""

    d_model: int | None = None
    n_layers: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    lr: float = 3e-3
    patience: int | None = 50
    time_limit: float | None = None  # seconds

    @classmethod
    def of(cls, estimator: Any) -> "Plan":
        """Return the plan that the parameters of an estimator make."""
        return cls(**{name: getattr(estimator, name) for name in cls._fields})

    def model(self, **options: Any) -> RecordingModelOptions:
        defaults: dict[str, Any] = {"kernel_size": 4, "dropout": 0.1, "norm": "batch"}
        return RecordingModelOptions(d_model=self.d_model, n_layers=self.n_layers, **{**defaults, **options})


class Trained(NamedTuple):
    """A trained model in eval mode, and its best validation."""

    model: Any
    score: float
    epoch: int


def train_network(task: Any, plan: Plan, *, seed: int, verbose: bool) -> Trained:
    """Train the network of a task whose recordings are in memory; keep the model of the best validation.

    Raises:
        KeyboardInterrupt: Ctrl-C; nothing is kept.
    """
    from multiresconv.training.fit import fit  # here, because Lightning takes seconds to import
    from multiresconv.training.options import OptimizerOptions, TrainerOptions
    from multiresconv.training.recorder import MemoryRecorder
    from multiresconv.training.stopping import Stopped

    recorder = MemoryRecorder()
    options = TrainerOptions(
        epochs=plan.epochs, batch_size=plan.batch_size, patience=plan.patience, accelerator="cpu", devices=1
    )
    try:
        with torch.random.fork_rng(devices=[]):
            fit(
                task,
                OptimizerOptions(lr=plan.lr, clip=1.0),
                options.settled(task.decided()),
                recorder=recorder,
                seed=seed,
                time_limit=None if plan.time_limit is None else timedelta(seconds=plan.time_limit),
                show_progress=verbose,
            )
            assert recorder.best is not None
            model = task.build()
    except Stopped as stopped:
        raise KeyboardInterrupt from stopped
    model.load_state_dict(recorder.best.model)
    best = recorder.best.state.best
    assert best is not None
    return Trained(model.eval().requires_grad_(False), best.score, best.epoch)
