"""Ragged batches: the first `lengths[i]` steps of sequence i are valid, the rest is padding."""

from collections.abc import Sequence

import torch
from torch import Tensor

from multiresconv.layers.integers import is_integral

Lengths = Tensor | Sequence[int]


def to_lengths(lengths: Lengths) -> Tensor:
    """Return lengths, a tensor, an array or a list of integers, as an int64 tensor on their device.

    Raises:
        TypeError: they are not integers.
    """
    if not isinstance(lengths, Tensor):
        try:
            lengths = torch.as_tensor(lengths, device="cpu")
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"lengths: expected a tensor of integers, got {lengths!r}") from None
    if not is_integral(lengths):
        raise TypeError(f"lengths: expected integers, got {lengths.dtype}")
    return lengths.long()


def check_lengths(lengths: Lengths, x: Tensor) -> Tensor:
    """Check that `lengths` are (B,) integers in 1..L and return them as int64 on the device of x (B, L, ...).

    Reading values on a GPU makes the CPU wait: call this once per forward pass, and keep lengths on the CPU if the wait
    matters. Compiled code, exported code and the meta device have no values, so their range is not checked.

    Raises:
        TypeError: `lengths` are not integers.
        ValueError: it has another shape, or a length is outside 1..L.
    """
    lengths = to_lengths(lengths)
    batch, length = x.shape[:2]
    if lengths.shape != (batch,):
        raise ValueError(f"lengths: expected shape ({batch},) for x {tuple(x.shape)}, got {tuple(lengths.shape)}")
    if batch and not lengths.is_meta and not torch.compiler.is_compiling():
        shortest, longest = (int(bound) for bound in lengths.aminmax())
        if shortest < 1 or longest > length:
            raise ValueError(f"lengths: expected 1 to {length} for x {tuple(x.shape)}, got {shortest} to {longest}")
    return lengths.to(x.device)


def refuse_lengths(lengths: Lengths | None) -> None:
    """Raise ValueError if lengths are given with a chunk of a stream."""
    if lengths is not None:
        raise ValueError("lengths, state: give one of them; a chunk of a stream has no padding")


def valid_steps(lengths: Tensor, length: int) -> Tensor:
    """Return a mask (B, length, 1) that is True at the valid steps."""
    return (torch.arange(length, device=lengths.device) < lengths[:, None])[:, :, None]


def reverse_steps(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse the valid steps of each sequence of x (B, L, D); padding stays where it is."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    from_end = lengths.to(x.device)[:, None] - 1 - steps
    index = torch.where(from_end >= 0, from_end, steps)
    return x.gather(1, index[:, :, None].expand_as(x))
