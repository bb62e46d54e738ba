"""`hold_last`: replaces missing values by the last good value of their channel."""

import torch
from torch import Tensor


def hold_last(x: Tensor, before: Tensor) -> Tensor:
    """Return x (B, L, C) with each NaN replaced by the last good value of its channel.

    Args:
        x: the values; NaN is missing.
        before: (B, 1, C) what to take before the first good value.
    """
    steps = torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]
    latest = (~x.isnan()).mul(steps).cummax(1).values  # 0 before the first good value
    return torch.cat([before, x], dim=1).gather(1, latest)
