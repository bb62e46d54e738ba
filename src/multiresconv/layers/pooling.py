"""Pooling of a sequence of features to one vector: of the whole sequence, or after each step of a stream."""

from typing import Literal, get_args

import torch
from torch import Tensor

from multiresconv.layers.lengths import valid_steps

Pooling = Literal["mean", "last", "max"]


def check_pooling(pooling: Pooling) -> None:
    """Raise ValueError unless there is such a pooling."""
    if pooling not in get_args(Pooling):
        raise ValueError(f"pooling: expected one of {', '.join(get_args(Pooling))}, got {pooling!r}")


def pool(x: Tensor, lengths: Tensor | None = None, pooling: Pooling = "mean") -> Tensor:
    """Pool the valid steps: x (B, L, D), lengths (B,) in 1..L or None for all -> (B, D).

    "mean" is the mean over the valid steps, "last" the last valid step, "max" the maximum over them per channel.
    """
    if lengths is None:
        return {"mean": lambda: x.mean(1), "last": lambda: x[:, -1], "max": lambda: x.amax(1)}[pooling]()
    if pooling == "last":
        last = (lengths - 1)[:, None, None].expand(-1, 1, x.shape[2])
        return x.gather(1, last).squeeze(1)
    valid = valid_steps(lengths, x.shape[1])
    if pooling == "max":
        return x.where(valid, -torch.inf).amax(1)
    # Half precision counts exactly to 256 or 2048 only.
    total = x.where(valid, 0).sum(1, dtype=torch.promote_types(x.dtype, torch.float32))
    return (total / lengths[:, None]).to(x.dtype)


def pooled_before(pooling: Pooling, batch_size: int, features: Tensor) -> dict[str, Tensor]:
    """Pooling's part of a stream's state before the first step; `features` (..., D) gives width, dtype and device.

    "mean" keeps the sum of all features in float64, so that a running mean stays exact however long the stream is;
    "max" keeps the maximum; "last" keeps nothing.
    """
    shape = (batch_size, features.shape[-1])
    if pooling == "mean":
        return {"pooled": torch.zeros(shape, dtype=torch.float64, device=features.device)}
    if pooling == "max":
        return {"pooled": torch.full(shape, -torch.inf, dtype=features.dtype, device=features.device)}
    return {}


def pool_chunk(
    x: Tensor, before: dict[str, Tensor], position: Tensor, pooling: Pooling
) -> tuple[Tensor, dict[str, Tensor]]:
    """Pool a stream up to each step of its next chunk.

    Args:
        x: (B, L, D) features of the chunk.
        before: what `pooled_before` or the last chunk gave.
        position: (B,) steps before the chunk.

    Returns:
        (B, L, D), and pooling's part of the state after the chunk.
    """
    if pooling == "last":
        return x, {}
    if pooling == "max":
        running = torch.maximum(x.cummax(1).values, before["pooled"][:, None].to(x.dtype))
        return running, {"pooled": running[:, -1].to(before["pooled"].dtype).clone()}
    totals = before["pooled"][:, None] + x.cumsum(1, dtype=torch.float64)
    counts = position[:, None] + torch.arange(1, x.shape[1] + 1, device=x.device)
    return (totals / counts[:, :, None]).to(x.dtype), {"pooled": totals[:, -1].clone()}
