"""`mean_pool`: from a sequence to one vector."""

import torch
from torch import Tensor

from multiresconv.layers.lengths import valid_steps


def mean_pool(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Mean over the valid steps: x (B, L, D), lengths (B,) in 1..L or None for all -> (B, D)."""
    if lengths is None:
        return x.mean(1)
    # Half precision counts exactly to 256 or 2048 only.
    total = x.where(valid_steps(lengths, x.shape[1]), 0).sum(1, dtype=torch.promote_types(x.dtype, torch.float32))
    return (total / lengths[:, None]).to(x.dtype)
