"""Checkpoints: model, optimizer and position of a run, from which it can be resumed."""

from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer

from multiresconv.training.state import RunState


class Checkpoint(NamedTuple):
    model: dict[str, Any]
    optimizer: dict[str, Any]
    state: RunState


def load_weights(model: nn.Module, checkpoint: Checkpoint, origin: str) -> None:
    """Replace the weights of `model` by those of a checkpoint, including their dtype; `origin` names it in errors.

    Raises:
        ValueError: the checkpoint belongs to another model.
    """
    try:
        model.load_state_dict(checkpoint.model, assign=True)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{origin}: not of the model that config.yaml describes: {error}") from error


def load_optimizer(optimizer: Optimizer, checkpoint: Checkpoint, origin: str) -> None:
    """Load the optimizer's state from a checkpoint, which `origin` names in errors; raises ValueError on a mismatch."""
    try:
        optimizer.load_state_dict(checkpoint.optimizer)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{origin}: not of the optimizer of this run: {error}") from error
