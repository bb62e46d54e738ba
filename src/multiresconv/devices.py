"""Where to compute."""

from typing import Any

import torch


def on_device(batch: Any, device: torch.device) -> Any:
    return type(batch)(*(tensor.to(device) for tensor in batch))


def choose_device(name: str) -> torch.device:
    """Raises ValueError where the device that is named is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda was named, but torch finds no GPU")
    return torch.device(name)
