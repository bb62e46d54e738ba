"""A training run from its options to its pictures."""

import logging
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LambdaCallback

from multiresconv.figures import save_figure
from multiresconv.models import load
from multiresconv.runs.checkpoints import Checkpoint, load_checkpoint
from multiresconv.runs.directory import RunDirectory
from multiresconv.runs.evaluate import choose_device
from multiresconv.runs.pictures import draw_curves
from multiresconv.tasks import Task
from multiresconv.training.module import TrainingModule
from multiresconv.training.options import OptimizerOptions, TrainerOptions
from multiresconv.training.processes import is_first_process, processes
from multiresconv.training.progress import Progress
from multiresconv.training.state import RunState
from multiresconv.training.stopping import StopRequest


def fit(
    task: Task,
    optimizer: OptimizerOptions,
    trainer: TrainerOptions,
    *,
    directory: RunDirectory,
    config: dict[str, Any],
    seed: int = 0,
    max_time: timedelta | None = None,
    resume: bool = False,
) -> RunState:
    """Train until the last epoch, writing `directory`; with `resume` go on where that run stands.

    `config` is what config.yaml says of the options, kept as it was when a run is resumed.

    Raises:
        Stopped: a signal or `max_time` ended it early; it can be resumed.
        NonFiniteError: a loss or a weight is not finite.
        KeyboardInterrupt: a second Ctrl-C; what was done after the last checkpoint is lost.
        BlockingIOError: another process is training this run.
        FileExistsError, FileNotFoundError, ValueError: the directory, the data or an option is not as it should be.
    """
    is_first = is_first_process()
    with ExitStack() as lock:
        if is_first and resume:
            lock.enter_context(directory.locked())
        elif is_first:
            directory.check_is_free()
        resumed = load_last(directory) if resume else None
        if is_first:
            task.prepare(may_generate=not resume)  # here too, since an error before Lightning starts others is one line
        if is_first and resume:
            check_data(task, directory)
        stop = StopRequest(max_time)
        module = TrainingModule(
            task,
            optimizer,
            trainer,
            seed=seed,
            directory=directory,
            stop=stop,
            progress=Progress(enabled=is_first),
            resumed=resumed,
        )
        if is_first and resume:
            directory.cut_metrics(module.state.step, module.state.validated_epochs)

        def start(_trainer: pl.Trainer, _module: pl.LightningModule) -> None:
            if is_first and not resume:  # only now, when data and options have proved good
                lock.enter_context(directory.locked())
                directory.check_is_free()  # again, since another process may have started here meanwhile
                directory.create(config, about(task))

        try:
            with quiet():
                run_lightning(module, trainer, start)
        finally:
            stop.release()
            module.progress.close()
            if is_first and directory.about.is_file():
                draw(task, directory, module.state, trainer.accelerator)
        return module.state


def load_last(directory: RunDirectory) -> Checkpoint | None:
    """Where a run stands, or None if it was stopped before there was anything to save.

    Raises:
        FileNotFoundError, ValueError: last.ckpt is missing or damaged; the message names a way out.
    """
    best = directory.best
    way_out = f"copy {best} over it to go on from there" if best.is_file() else "start another run"
    if not directory.last.is_file():
        if not directory.read_metrics():
            return None
        raise FileNotFoundError(f"{directory.last}: missing, though {directory.metrics} tells of steps; {way_out}")
    try:
        return load_checkpoint(directory.last)
    except ValueError as error:
        raise ValueError(f"{error}; {way_out}") from error


def check_data(task: Task, directory: RunDirectory) -> None:
    """Raises ValueError if the data are not those that the run began with."""
    seen = task.fingerprint()
    begun_with = directory.read_about().get("data", seen)
    if begun_with != seen:
        raise ValueError(
            f"data: expected those that {directory.path} began with, {begun_with}, got {seen}; "
            "put those back, or start another run"
        )


def run_lightning(module: TrainingModule, options: TrainerOptions, start: Callable[..., None]) -> None:
    state = module.state

    def listen(_trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        module.stop.listen()  # after Lightning has put up its own handler of SIGTERM

    devices, num_nodes = processes(options)
    try:
        trainer = pl.Trainer(
            accelerator=options.accelerator,
            devices=devices,
            num_nodes=num_nodes,
            precision=options.precision,
            max_epochs=options.epochs - state.trained_epochs,
            # a validation that a stop left out is made up for before the first step
            num_sanity_val_steps=-1 if state.awaits_validation else 0,
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[LambdaCallback(on_fit_start=start, on_sanity_check_start=listen, on_train_start=listen)],
        )
    except (MisconfigurationException, RuntimeError) as error:  # such as a GPU that is not there
        raise ValueError(f"trainer: {error}") from error
    n = trainer.world_size
    for name in ("batch_size", "eval_batch_size"):  # here, before there are processes that all say the same
        if (size := getattr(options, name)) is not None and size % n:
            raise ValueError(f"trainer.{name}: expected a multiple of the {n} processes, got {size}")
    try:
        trainer.fit(module)
    except SystemExit as error:  # what Lightning makes of a KeyboardInterrupt, such as a second Ctrl-C
        raise KeyboardInterrupt from error


def about(task: Task) -> dict[str, Any]:
    """run.json: what the numbers of a run depend on beside its options."""
    versions = {name: version(name) for name in ("multiresconv", "torch", "lightning", "numpy")}
    return {
        "task": task.name,
        "versions": {"python": platform.python_version(), **versions},
        "data": task.fingerprint(),
    }


def draw(task: Task, directory: RunDirectory, state: RunState, accelerator: str) -> None:
    """The pictures; that they fail is said, but neither ends a run nor hides what ended it."""
    try:
        draw_curves(directory.path / "curves.png", directory.read_metrics(), task.monitor)
        if state.best is not None:
            title = f"{task.name}, validation, epoch {state.best.epoch}"
            model = load(directory.model, choose_device("cuda" if accelerator == "gpu" else accelerator))
            scored, shown = task.figures(state.best.scores, title), task.examples(model, task.open("val"), title)
            for name, figure in {**scored, **shown}.items():
                save_figure(figure, directory.path / f"{name}.png")
    except (KeyError, OSError, TypeError, ValueError) as error:
        print(f"{directory.path}: no pictures: {error}", file=sys.stderr)


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's remarks about its own product, and its warnings about what is meant to be so here."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        yield
