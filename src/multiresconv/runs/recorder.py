"""The recorder that writes into a run directory."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from torch import nn
from torch.optim import Optimizer

from multiresconv.files import errors_name
from multiresconv.models import save
from multiresconv.runs.checkpoints import save_checkpoint
from multiresconv.runs.directory import RunDirectory
from multiresconv.training.state import Best, RunState

_LOGGERS: dict[str, tuple[Callable[..., Logger], tuple[str, ...]]] = {  # with the packages of which each needs one
    "csv": (CSVLogger, ()),
    "tensorboard": (TensorBoardLogger, ("tensorboard", "tensorboardX")),
    "wandb": (WandbLogger, ("wandb",)),
}


class RunRecorder:
    """A `Recorder` that writes metrics.jsonl, the checkpoints and the model folder of a run directory.

    Args:
        directory: the run directory.
        create: creates the directory when a new run starts; None for a resumed run.
        logger: Lightning's logger that also gets the numbers: csv, tensorboard, wandb or None. It writes into the
            folder `logs` of the run.

    Attributes:
        started: True once this run may write into the directory.
        best: the best validation so far.
    """

    def __init__(
        self, directory: RunDirectory, create: Callable[[], None] | None = None, logger: str | None = None
    ) -> None:
        self.directory, self.create = directory, create
        self.make_logger = None if logger is None else _found(logger)
        self.logger: Logger | None = None
        self.started = False
        self.best: Best | None = None

    @property
    def last_name(self) -> str:
        return str(self.directory.last)

    @property
    def best_name(self) -> str:
        return str(self.directory.model)

    def start(self, state: RunState) -> None:
        if self.started:  # a model was fitted at once before
            return
        if self.create is not None:
            self.create()
        else:
            self.directory.cut_metrics(state.step, state.validated_epochs, fitted=state.best is not None)
        self.started, self.best = True, state.best
        if self.make_logger is not None:
            self.logger = self.make_logger(save_dir=str(self.directory.path), name="logs")

    def write_line(self, line: dict[str, Any]) -> None:
        self.directory.append_metrics(line)
        if self.logger is not None:
            numbers = {f"{line['kind']}/{name}": float(x) for name, x in line.items() if isinstance(x, int | float)}
            self.logger.log_metrics(numbers, line["step"])

    def save_last(self, network: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        save_checkpoint(self.directory.last, network, optimizer, state)

    def save_best(self, network: Any, optimizer: Optimizer, state: RunState) -> None:
        with errors_name(self.directory.model):
            save(network, self.directory.model)
        save_checkpoint(self.directory.best, network, optimizer, state)
        self.best = state.best

    def save_fitted(self, model: Any, best: Best) -> None:
        """Store a model that was fitted at once, before the training, as the best so far."""
        with errors_name(self.directory.model):
            save(model, self.directory.model)
        self.best = best

    def close(self) -> None:
        """Write what the logger still holds."""
        if self.logger is not None:
            self.logger.finalize("finished")


def _found(name: str) -> Callable[..., Logger]:
    """Return the class of Lightning's logger.

    Raises:
        ModuleNotFoundError: its package is not installed.
    """
    kind, packages = _LOGGERS[name]
    if packages and not any(map(find_spec, packages)):
        raise ModuleNotFoundError(f"trainer.logger: {name} needs another package: pip install {packages[0]}")
    return kind
