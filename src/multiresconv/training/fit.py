"""Run the training loop, from the options to the last epoch."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import lightning.pytorch as pl
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import LambdaCallback

from multiresconv.tasks import Task
from multiresconv.training.checkpoint import Checkpoint
from multiresconv.training.module import TrainingModule
from multiresconv.training.options import OptimizerOptions, TrainerOptions, check_seed
from multiresconv.training.processes import is_first_process, processes
from multiresconv.training.progress import Progress
from multiresconv.training.recorder import Recorder
from multiresconv.training.state import Best, RunState
from multiresconv.training.stopping import StopRequest


def fit(
    task: Task,
    optimizer: OptimizerOptions,
    trainer: TrainerOptions,
    *,
    recorder: Recorder,
    seed: int = 0,
    max_time: timedelta | None = None,
    resumed: Checkpoint | None = None,
    time_limit: timedelta | None = None,
    show_progress: bool = True,
    fitted: Best | None = None,
) -> RunState:
    """Train until the last epoch, from the beginning or from the checkpoint `resumed`.

    `fitted` is the validation of a model that was fitted at once; only a better network replaces it.

    The run ends earlier if its patience is over, or after `time_limit` of training and validation: then the learning
    rate decays to 0 within that time, and the last steps are validated.

    `show_progress` shows it on standard error. The tensors of `resumed` are not copied: they become the network's own.
    The recorder stores the results; to write a run directory use `runs.train`.

    Raises:
        Stopped: a signal or `max_time` ended the run early; it can be resumed.
        NonFiniteError: a loss or a weight is not finite.
        KeyboardInterrupt: a second Ctrl-C; progress since the last checkpoint is lost.
        FileNotFoundError, ValueError: the data are missing or invalid, or an option is invalid.
    """
    check_seed(seed)
    stop = StopRequest(max_time)
    module = TrainingModule(
        task,
        optimizer,
        trainer,
        seed=seed,
        recorder=recorder,
        stop=stop,
        progress=Progress(enabled=show_progress and is_first_process()),
        resumed=resumed,
        time_limit=time_limit,
        fitted=fitted,
    )
    try:
        with quiet():
            run_lightning(module, trainer)
    finally:
        stop.release()
        module.progress.close()
    return module.state


def run_lightning(module: TrainingModule, options: TrainerOptions) -> None:
    state = module.state

    def listen(_trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        module.stop.listen()  # after Lightning has installed its own SIGTERM handler

    devices, num_nodes = processes(options)
    try:
        trainer = pl.Trainer(
            accelerator=options.accelerator,
            devices=devices,
            num_nodes=num_nodes,
            precision=options.precision,
            max_epochs=0 if module.early_end.is_reached(state) else module.epochs - state.trained_epochs,
            # if the run was stopped before a validation, Lightning's sanity check runs it before the first step
            num_sanity_val_steps=-1 if state.awaits_validation else 0,
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[LambdaCallback(on_sanity_check_start=listen, on_train_start=listen)],
        )
    except (MisconfigurationException, RuntimeError) as error:  # for example a missing GPU
        raise ValueError(f"trainer: {error}") from error
    n = trainer.world_size
    for name in ("batch_size", "eval_batch_size"):  # here, before other processes start and repeat it
        if (size := getattr(options, name)) is not None and size % n:
            raise ValueError(f"trainer.{name}: expected a multiple of the {n} processes, got {size}")
    try:
        trainer.fit(module)
    except SystemExit as error:  # Lightning turns a KeyboardInterrupt, such as a second Ctrl-C, into this
        raise KeyboardInterrupt from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's advertisements, and its warnings about things that this library does on purpose."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        yield
