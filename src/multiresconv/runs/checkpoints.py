"""Checkpoints: model, optimizer and position of a run in one file that loads with `weights_only`."""

from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from multiresconv.files import write_atomically
from multiresconv.training.state import RunState


class Checkpoint(NamedTuple):
    model: dict[str, Any]
    optimizer: dict[str, Any]
    state: RunState


def save_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer, state: RunState) -> None:
    content = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state.to_dict()}
    data = BytesIO()
    torch.save(content, data)  # in memory, since of a full disk torch.save says neither what nor where
    write_atomically(path, lambda part: part.write_bytes(data.getbuffer()))


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint, on the CPU.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged or no checkpoint of a run.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; the run stopped before its first one, start it anew")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(content["model"], content["optimizer"], RunState.from_dict(content["state"]))
    except Exception as error:  # torch.load raises whatever its unpickler or its archive reader met
        raise ValueError(f"{path}: damaged, or no checkpoint of a run: {type(error).__name__}") from error


def load_weights(model: nn.Module, checkpoint: Checkpoint, path: Path) -> None:
    """Give `model` the weights, and their dtype, of the checkpoint that was read from `path`.

    Raises:
        ValueError: they are those of another model.
    """
    try:
        model.load_state_dict(checkpoint.model, assign=True)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{path}: not of the model that config.yaml describes: {error}") from error


def load_optimizer(optimizer: Optimizer, checkpoint: Checkpoint, path: Path) -> None:
    """Give `optimizer` its state of the checkpoint that was read from `path`; raises ValueError if it is another's."""
    try:
        optimizer.load_state_dict(checkpoint.optimizer)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not of the optimizer of this run: {error}") from error
