"""Float64 numbers as two float32 numbers, since neither a browser nor the border of our files has float64."""

import torch
from torch import Tensor


def as_pair(value: Tensor) -> Tensor:
    """Return value (B, ...) float64 as (B, 2, ...) float32, whose sum keeps 48 of the 53 bits."""
    high = value.float()
    return torch.stack([high, (value - high.double()).float()], dim=1)


def of_pair(pair: Tensor) -> Tensor:
    """Return the sum (B, ...) float64 of a pair (B, 2, ...)."""
    return pair.double().sum(1)
