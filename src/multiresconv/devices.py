"""Choose the device to compute on, and move batches to it."""

from typing import Any

import torch


def on_device(batch: Any, device: torch.device) -> Any:
    """Return the batch, a named tuple of tensors, with its tensors on `device`."""
    return type(batch)(*(tensor.to(device) for tensor in batch))


def choose_device(name: str) -> torch.device:
    """Return the named device; "auto" means a GPU if there is one. Raises ValueError for "cuda" without a GPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda was named, but torch finds no GPU")
    return torch.device(name)
