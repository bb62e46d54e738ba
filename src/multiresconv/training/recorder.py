"""The interface through which the training loop stores its results, and an implementation in memory."""

import copy
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer

from multiresconv.training.checkpoint import Checkpoint
from multiresconv.training.state import RunState


class Recorder(Protocol):
    """Stores the results of a run. The training loop calls the methods in the first process only."""

    @property
    def last_name(self) -> str:
        """Name of the last checkpoint in messages."""
        ...

    @property
    def best_name(self) -> str:
        """Name of the best model in messages."""
        ...

    def start(self, state: RunState) -> None:
        """Prepare for writing. Called once data and options are checked, before the first step after `state`."""
        ...

    def write_line(self, line: dict[str, Any]) -> None:
        """Store numbers of some training steps (`line["kind"]` is "train") or of a validation ("val"), JSON-ready."""
        ...

    def save_last(self, network: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        """Store the checkpoint from which the run can be resumed."""
        ...

    def save_best(self, network: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        """Store the best model so far. Called after a validation with the best score yet."""
        ...


class MemoryRecorder:
    """Stores everything in memory: `lines`, and the checkpoints `last` and `best`, which are None at first."""

    last_name = "the last checkpoint"
    best_name = "the best model"

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.last: Checkpoint | None = None
        self.best: Checkpoint | None = None

    def start(self, state: RunState) -> None:
        pass

    def write_line(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    def save_last(self, network: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        self.last = _copy_checkpoint(network, optimizer, state)

    def save_best(self, network: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        self.best = _copy_checkpoint(network, optimizer, state)


@torch.no_grad()
def _copy_checkpoint(network: nn.Module, optimizer: Optimizer, state: RunState) -> Checkpoint:
    return Checkpoint(*copy.deepcopy((network.state_dict(), optimizer.state_dict(), state)))
