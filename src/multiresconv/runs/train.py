"""Train a model and write checkpoints, metrics and pictures into a run directory."""

import sys
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import torch

from multiresconv.data.say import say_remarks
from multiresconv.devices import choose_device
from multiresconv.figures import save_figure
from multiresconv.models import load
from multiresconv.runs.about import about, other_threads
from multiresconv.runs.checkpoints import load_checkpoint
from multiresconv.runs.directory import RunDirectory
from multiresconv.runs.pictures import draw_curves
from multiresconv.runs.recorder import RunRecorder
from multiresconv.tasks import Task
from multiresconv.training.checkpoint import Checkpoint, check_weights
from multiresconv.training.fit import fit
from multiresconv.training.options import OptimizerOptions, TrainerOptions
from multiresconv.training.processes import is_first_process
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
    A resumed run keeps the file as it is.

    Raises:
        BlockingIOError: another process is training this run.
        FileExistsError: `directory` exists already, and `resume` is False.
        FileNotFoundError, ValueError: a file is missing or damaged, or the data or an option is invalid.
        Stopped, NonFiniteError, KeyboardInterrupt: see `fit`.
    """
    is_first = is_first_process()
    with ExitStack() as lock:
        if is_first and resume:
            lock.enter_context(directory.locked())
        elif is_first:
            directory.check_is_free()
        resumed = load_last(directory) if resume else None
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

        def create() -> None:
            lock.enter_context(directory.locked())
            directory.check_is_free()  # again, since another process may have started a run here
            directory.create({**config, "trainer": asdict(trainer)}, about(task))

        recorder = RunRecorder(directory, None if resume else create, trainer.logger)
        try:
            return fit(
                task,
                optimizer,
                trainer,
                recorder=recorder,
                seed=seed,
                max_time=max_time,
                resumed=resumed,
                time_limit=time_limit,
            )
        finally:
            recorder.close()
            if recorder.started:
                draw(task, directory, recorder.best, trainer.accelerator)


def load_last(directory: RunDirectory) -> Checkpoint | None:
    """Load the last checkpoint of a run; None if the run was stopped before its first one.

    Raises:
        FileNotFoundError, ValueError: last.ckpt is missing or damaged; the message suggests what to do.
    """
    best = directory.best
    way_out = f"copy {best} over it to go on from there" if best.is_file() else "start another run"
    if not directory.last.is_file():
        if not directory.read_metrics():
            return None
        raise FileNotFoundError(f"{directory.last}: missing, though {directory.metrics} has lines; {way_out}")
    try:
        return load_checkpoint(directory.last)
    except ValueError as error:
        raise ValueError(f"{error}; {way_out}") from error


def check_model(task: Task, directory: RunDirectory, resumed: Checkpoint | None) -> None:
    """Raise ValueError if config.yaml describes no model, or another one than the checkpoint; allocates nothing."""
    try:
        with torch.device("meta"):
            model = task.build()
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{directory.config}: not the options of a run of this version: {error}") from error
    if resumed is not None:
        check_weights(model, resumed, str(directory.last))


def check_data(task: Task, directory: RunDirectory) -> None:
    """Raise ValueError if the data differ from those with which the run began."""
    seen = task.fingerprint()
    begun_with = {split: rows for split, rows in directory.read_about().get("data", seen).items() if split in seen}
    if begun_with != seen:
        raise ValueError(
            f"data: expected those that {directory.path} began with, {begun_with}, got {seen}; "
            "restore the original data, or start another run"
        )


def draw(task: Task, directory: RunDirectory, best: Best | None, accelerator: str) -> None:
    """Draw the pictures. An error is only printed: it must not end the run or hide the error that ended it."""
    try:
        draw_curves(directory.path / "curves.png", directory.read_metrics(task.monitor), task.monitor)
        if best is not None:
            title = f"{task.name}, validation, epoch {best.epoch}"
            model = load(directory.model, choose_device("cuda" if accelerator == "gpu" else accelerator))
            scored, shown = task.figures(best.scores, title), task.examples(model, task.open("val"), title)
            for name, figure in {**scored, **shown}.items():
                save_figure(figure, directory.path / f"{name}.png")
    except Exception as error:  # any type: a wrong shape fails in many ways
        print(f"{directory.path}: no pictures: {error}", file=sys.stderr)
