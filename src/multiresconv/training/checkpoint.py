"""A checkpoint: model, optimizer and position of a run, from which it goes on."""

from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer

from multiresconv.training.state import RunState


class Checkpoint(NamedTuple):
    model: dict[str, Any]
    optimizer: dict[str, Any]
    state: RunState


def load_weights(model: nn.Module, checkpoint: Checkpoint, origin: str) -> None:
    """Give `model` the weights, and their dtype, of the checkpoint that `origin` names.

    Raises:
        ValueError: they are those of another model.
    """
    try:
        model.load_state_dict(checkpoint.model, assign=True)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{origin}: not of the model that config.yaml describes: {error}") from error


def load_optimizer(optimizer: Optimizer, checkpoint: Checkpoint, origin: str) -> None:
    """Give `optimizer` its state of the checkpoint that `origin` names; raises ValueError if it is another's."""
    try:
        optimizer.load_state_dict(checkpoint.optimizer)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{origin}: not of the optimizer of this run: {error}") from error
