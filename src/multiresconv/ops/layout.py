"""Memory layout of (B, D, L) tensors: contiguous in time, or channels last."""

from torch import Tensor


def channels_last(x: Tensor) -> bool:
    """Return True if neighbours in memory of x (B, D, L) are channels, not steps, as in a transposed (B, L, D)."""
    return x.stride(1) < x.stride(2) and x.shape[1] > 1


def empty_like(x: Tensor) -> Tensor:
    """Return an uninitialised dense tensor with the shape (B, D, L), the dtype and the memory layout of x."""
    batch, channels, length = x.shape
    if channels_last(x):
        return x.new_empty(batch, length, channels).transpose(1, 2)
    return x.new_empty(batch, channels, length)
