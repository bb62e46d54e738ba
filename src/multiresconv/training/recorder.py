"""What the training loop wants kept, and a recorder that keeps it in memory."""

import copy
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer

from multiresconv.training.checkpoint import Checkpoint
from multiresconv.training.state import RunState


class Recorder(Protocol):
    """Keeps what a run gives. The loop calls the methods in the first process only."""

    @property
    def last_name(self) -> str:
        """What messages call the last checkpoint."""
        ...

    @property
    def best_name(self) -> str:
        """What messages call the best model."""
        ...

    def start(self, state: RunState) -> None:
        """The data and the options have proved good, and the first step after `state` comes next."""
        ...

    def write_line(self, line: dict[str, Any]) -> None:
        """Numbers of some training steps or of a validation, as JSON has them; `line["kind"]` says of which."""
        ...

    def save_last(self, network: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        """A later run may go on from here."""
        ...

    def save_best(self, network: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        """No validation before was better."""
        ...


class MemoryRecorder:
    """Keeps everything in memory: `lines`, and the checkpoints `last` and `best`, None until there is one."""

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
        self.last = _copied(network, optimizer, state)

    def save_best(self, network: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        self.best = _copied(network, optimizer, state)


@torch.no_grad()
def _copied(network: nn.Module, optimizer: Optimizer, state: RunState) -> Checkpoint:
    return Checkpoint(*copy.deepcopy((network.state_dict(), optimizer.state_dict(), state)))
