"""Pooling of a sequence of features to one vector, for whole sequences and after each step of a stream."""

from typing import Literal, get_args

import torch
from torch import Tensor

from multiresconv.layers.lengths import valid_steps

Pooling = Literal["mean", "last", "max"]


def check_pooling(pooling: Pooling) -> None:
    """Raise ValueError unless `pooling` is "mean", "last" or "max"."""
    if pooling not in get_args(Pooling):
        raise ValueError(f"pooling: expected one of {', '.join(get_args(Pooling))}, got {pooling!r}")


def pool(x: Tensor, lengths: Tensor | None = None, pooling: Pooling = "mean") -> Tensor:
    """Pool the valid steps of x (B, L, D) to (B, D).

    Args:
        x: features.
        lengths: (B,) valid steps of each sequence, 1..L; None if all are valid.
        pooling: "mean" and "max" are over the valid steps, per channel; "last" takes the last valid step.
    """
    if lengths is None:
        return {"mean": lambda: x.mean(1), "last": lambda: x[:, -1], "max": lambda: x.amax(1)}[pooling]()
    if pooling == "last":
        last = (lengths - 1)[:, None, None].expand(-1, 1, x.shape[2])
        return x.gather(1, last).squeeze(1)
    valid = valid_steps(lengths, x.shape[1])
    if pooling == "max":
        return x.where(valid, -torch.inf).amax(1)
    # bfloat16 counts exactly up to 256 only, float16 up to 2048.
    total = x.where(valid, 0).sum(1, dtype=torch.promote_types(x.dtype, torch.float32))
    return (total / lengths[:, None]).to(x.dtype)


def pooled_before(pooling: Pooling, batch_size: int, features: Tensor) -> dict[str, Tensor]:
    """Return the pooling state of a stream before its first step.

    "mean" keeps the sum of all features, in float64 so that the mean stays accurate in long streams. "max" keeps the
    maximum, "last" nothing. `features` (..., D) sets width, dtype and device.
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
        before: the pooling state from `pooled_before` or from the last chunk.
        position: (B,) number of steps before the chunk.
        pooling: "mean", "last" or "max".

    Returns:
        Pooled features (B, L, D), and the pooling state after the chunk.
    """
    if pooling == "last":
        return x, {}
    if pooling == "max":
        running = torch.maximum(x.cummax(1).values, before["pooled"][:, None].to(x.dtype))
        return running, {"pooled": running[:, -1].to(before["pooled"].dtype).clone()}
    totals = before["pooled"][:, None] + x.cumsum(1, dtype=torch.float64)
    counts = position[:, None] + torch.arange(1, x.shape[1] + 1, device=x.device)
    return (totals / counts[:, :, None]).to(x.dtype), {"pooled": totals[:, -1].clone()}
