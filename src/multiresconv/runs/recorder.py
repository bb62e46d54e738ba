"""The recorder that writes into a run directory."""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer

from multiresconv.files import errors_name
from multiresconv.models import save
from multiresconv.runs.checkpoints import save_checkpoint
from multiresconv.runs.directory import RunDirectory
from multiresconv.training.state import Best, RunState


class RunRecorder:
    """A `Recorder` that writes metrics.jsonl, the checkpoints and the model folder of a run directory.

    Args:
        directory: the run directory.
        create: creates the directory when a new run starts; None for a resumed run.

    Attributes:
        started: True once this run may write into the directory.
        best: the best validation so far.
    """

    def __init__(self, directory: RunDirectory, create: Callable[[], None] | None = None) -> None:
        self.directory, self.create = directory, create
        self.started = False
        self.best: Best | None = None

    @property
    def last_name(self) -> str:
        return str(self.directory.last)

    @property
    def best_name(self) -> str:
        return str(self.directory.model)

    def start(self, state: RunState) -> None:
        if self.create is not None:
            self.create()
        else:
            self.directory.cut_metrics(state.step, state.validated_epochs)
        self.started, self.best = True, state.best

    def write_line(self, line: dict[str, Any]) -> None:
        self.directory.append_metrics(line)

    def save_last(self, network: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        save_checkpoint(self.directory.last, network, optimizer, state)

    def save_best(self, network: Any, optimizer: Optimizer, state: RunState) -> None:
        with errors_name(self.directory.model):
            save(network, self.directory.model)
        save_checkpoint(self.directory.best, network, optimizer, state)
        self.best = state.best
