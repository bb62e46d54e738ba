"""The order of axes that (B, D, L) has in memory: steps or channels side by side."""

from torch import Tensor


def channels_last(x: Tensor) -> bool:
    """True if x (B, D, L) is better read as (B, L, D): neighbours in memory are channels, not steps."""
    return x.stride(1) < x.stride(2) and x.shape[1] > 1


def empty_like(x: Tensor) -> Tensor:
    """Uninitialised (B, D, L), dense, in the order of axes that x has in memory."""
    batch, channels, length = x.shape
    if channels_last(x):
        return x.new_empty(batch, length, channels).transpose(1, 2)
    return x.new_empty(batch, channels, length)
