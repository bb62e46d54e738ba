"""Checkpoint files: model, optimizer and position of a run in one file that loads with `weights_only`."""

from io import BytesIO
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from multiresconv.files import write_atomically
from multiresconv.training.checkpoint import Checkpoint
from multiresconv.training.state import RunState


def save_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer, state: RunState) -> None:
    content = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state.to_dict()}
    data = BytesIO()
    torch.save(content, data)  # in memory, since on a full disk torch.save names neither the error nor the file
    write_atomically(path, lambda part: part.write_bytes(data.getbuffer()))


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint to the CPU.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged or not a checkpoint of a run.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; the run stopped before its first one; start a new run")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(content["model"], content["optimizer"], RunState.from_dict(content["state"]))
    except Exception as error:  # any type: torch.load passes on the errors of its unpickler and archive reader
        raise ValueError(f"{path}: damaged, or no checkpoint of a run: {type(error).__name__}") from error
