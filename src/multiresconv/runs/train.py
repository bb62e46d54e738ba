"""Train a model and write checkpoints, metrics and pictures into a run directory."""

import math
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import torch

from multiresconv.data.say import say_remarks
from multiresconv.devices import choose_device
from multiresconv.figures import save_figure
from multiresconv.models import load, load_model
from multiresconv.runs.about import about, other_threads
from multiresconv.runs.checkpoints import load_checkpoint
from multiresconv.runs.directory import RunDirectory
from multiresconv.runs.evaluate import score
from multiresconv.runs.pictures import draw_curves
from multiresconv.runs.recorder import RunRecorder
from multiresconv.runs.same_data import check_data
from multiresconv.tasks import FitsAtOnce, Task
from multiresconv.tasks.task import Method
from multiresconv.training.checkpoint import Checkpoint, check_weights
from multiresconv.training.finite import NO_VALUE
from multiresconv.training.fit import fit
from multiresconv.training.options import OptimizerOptions, TrainerOptions, check_seed
from multiresconv.training.processes import is_first_process, under_torchrun
from multiresconv.training.state import Best, RunState


def train(
    task: Task,
    optimizer: OptimizerOptions,
    trainer: TrainerOptions,
    *,
    directory: RunDirectory,
    config: dict[str, Any],
    seed: int = 0,
    max_time: timedelta | None = None,
    time_limit: timedelta | None = None,
    resume: bool = False,
) -> RunState:
    """Train until the last epoch and write the run into `directory`; with `resume`, continue its run.

    `config` is the content of config.yaml, all options; options of the trainer that are left to the task are filled in.
    A resumed run keeps the file as it is, but for a larger number of epochs.

    Raises:
        BlockingIOError: another process is training this run.
        FileExistsError: `directory` exists already, and `resume` is False.
        FileNotFoundError, ValueError: a file is missing or damaged, or the data or an option is invalid.
        Stopped, NonFiniteError, KeyboardInterrupt: see `fit`.
    """
    check_seed(seed)
    is_first = is_first_process()
    with ExitStack() as lock:
        if is_first and resume:
            lock.enter_context(directory.locked())
        elif is_first:
            directory.check_is_free()
        resumed = load_last(directory) if resume else None
        if is_first and not resume:
            check_options(task, trainer)
        if is_first:
            task.prepare(may_generate=not resume)  # here too: an error before other processes start is shown once
        decided = task.decided()
        trainer = trainer.settled(decided)
        if is_first:
            say_remarks("training data", decided.get("doubts", ()))
        if is_first and resume:
            check_model(task, directory, resumed)
            check_data(task, directory)
            directory.read_metrics(task.monitor)  # before anything is written
            if remark := other_threads(directory.read_about()):
                print(f"{directory.about}: {remark}", file=sys.stderr)
            assert trainer.epochs is not None  # `settled` checks it
            directory.extend(task.name, trainer.epochs)

        def create() -> None:
            lock.enter_context(directory.locked())
            directory.check_is_free()  # again, since another process may have started a run here
            directory.create({**config, "trainer": asdict(trainer)}, about(task))

        recorder = RunRecorder(directory, None if resume else create, trainer.logger)
        try:
            methods = task.methods if isinstance(task, FitsAtOnce) else ("network",)
            before = last_best(task, directory) if resume and resumed is None else None
            if before is not None and suffices(task, methods, before):
                return RunState(best=before)
            fitted = None
            if "ridge" in methods and resumed is None and is_first:
                fitted = fit_at_once(task, recorder, trainer, seed)
            if suffices(task, methods, fitted):
                return RunState(best=fitted)
            return fit(
                task,
                optimizer,
                trainer,
                recorder=recorder,
                seed=seed,
                max_time=max_time,
                resumed=resumed,
                time_limit=time_limit,
                fitted=fitted,
            )
        finally:
            recorder.close()
            if recorder.started:
                draw(task, directory, recorder.best, trainer.accelerator)


def fit_at_once(task: Any, recorder: RunRecorder, trainer: TrainerOptions, seed: int) -> Best:
    """Fit a model to the training rows at once and validate it; store one that is fitted to the validation rows too.

    Args:
        task: a `Task` that `FitsAtOnce`.
        recorder, trainer, seed: of the run.
    """
    if "network" in task.methods:
        with torch.device("meta"):
            task.build()  # before the fit: an option of the network that is wrong shows at once
    start = time.monotonic()
    recorder.start(RunState())
    model = task.fit_at_once(("train",), seed)
    scores = score(task, model, [task.open("val")], trainer.eval_batch_size, torch.device("cpu"))
    if not math.isfinite(scores[task.monitor]):
        raise ValueError(NO_VALUE.format(task.monitor))
    model = task.fit_at_once(("train", "val"), seed)
    best = Best(0, 0, float(scores[task.monitor]), scores)
    recorder.save_fitted(model, best)
    numbers = {name: value.item() for name, value in scores.items() if value.ndim == 0}
    seconds = round(time.monotonic() - start, 3)
    recorder.write_line({"kind": "val", "step": 0, "epoch": 0, **numbers, "best": True, "seconds": seconds})
    shown = ", ".join(f"{name} {value:.4f}" for name, value in numbers.items() if isinstance(value, float))
    print(f"ridge regression on untrained features: validation {shown}", file=sys.stderr)
    return best


def load_last(directory: RunDirectory) -> Checkpoint | None:
    """Load the last checkpoint of a run; None if the run was stopped before its first one.

    Raises:
        FileNotFoundError, ValueError: last.ckpt is missing or damaged; the message suggests what to do.
    """
    best = directory.best
    way_out = f"copy {best} over it to go on from there" if best.is_file() else "start another run"
    if not directory.last.is_file():
        if not any(line["step"] for line in directory.read_metrics()):
            return None
        raise FileNotFoundError(f"{directory.last}: missing, though {directory.metrics} has lines; {way_out}")
    try:
        return load_checkpoint(directory.last)
    except ValueError as error:
        raise ValueError(f"{error}; {way_out}") from error


def suffices(task: Task, methods: Sequence[Method], fitted: Best | None) -> bool:
    """Return True if no network is to be trained after a fit at once: none is wanted, or nothing is left to improve.

    Under torchrun the other processes do not know the score and wait in the training, so a wanted network is trained.
    """
    if "network" not in methods:
        return True
    return fitted is not None and task.maximize and fitted.score >= 1 and not under_torchrun()


def last_best(task: Task, directory: RunDirectory) -> Best | None:
    """Return the best validation that a run has recorded, without its tensors, or None if its model is not complete."""
    if not (directory.model / "config.json").is_file():
        return None
    best = [line for line in directory.read_metrics(task.monitor) if line.get("best")][-1:]
    return Best(best[0]["step"], best[0]["epoch"], best[0][task.monitor], {}) if best else None


def check_options(task: Task, trainer: TrainerOptions) -> None:
    """Raise ValueError or OSError for what does not need the data to be known as wrong, before any are made."""
    if trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise ValueError("trainer.accelerator: gpu was named, but torch finds no GPU")
    task.model.check()
    if task.model.init is not None:
        load_model(task.model.init)


def check_model(task: Task, directory: RunDirectory, resumed: Checkpoint | None) -> None:
    """Raise ValueError if config.yaml describes no model, or another one than the checkpoint; allocates nothing."""
    try:
        with torch.device("meta"):
            model = task.build()
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{directory.config}: not the options of a run of this version: {error}") from error
    if resumed is not None:
        check_weights(model, resumed, str(directory.last))


def draw(task: Task, directory: RunDirectory, best: Best | None, accelerator: str) -> None:
    """Draw the pictures. An error is only printed: it must not end the run or hide the error that ended it."""
    try:
        draw_curves(directory.path / "curves.png", directory.read_metrics(task.monitor), task.monitor)
        if best is not None:
            title = f"{task.name}, validation, {f'epoch {best.epoch}' if best.epoch else 'ridge regression'}"
            figures = dict(task.figures(best.scores, title))
            if best.epoch:  # a model that was fitted at once has learned the validation rows too
                model = load(directory.model, choose_device("cuda" if accelerator == "gpu" else accelerator))
                figures |= task.examples(model, task.open("val"), title)
            for name, figure in figures.items():
                save_figure(figure, directory.path / f"{name}.png")
    except Exception as error:  # any type: a wrong shape fails in many ways
        print(f"{directory.path}: no pictures: {error}", file=sys.stderr)
