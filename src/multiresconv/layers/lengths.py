"""Ragged batches: `lengths` (B,) says how many steps of each sequence, from its first, are valid, not padding."""

import torch
from torch import Tensor


def check_lengths(lengths: Tensor, x: Tensor) -> Tensor:
    """`lengths` on the device of x (B, L, ...), once they are known to be (B,) integers in 1..L.

    Looks at the values, for which a GPU has to be waited for: call it once per forward pass, with lengths on the CPU
    where that matters. Compiled and exported code, and the meta device, know no values and leave that check out.
    """
    if not isinstance(lengths, Tensor):
        raise TypeError(f"lengths: expected a tensor of integers, got {type(lengths).__name__}")
    batch, length = x.shape[:2]
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths: expected integers, got {lengths.dtype}")
    if lengths.shape != (batch,):
        raise ValueError(f"lengths: expected shape ({batch},) for x {tuple(x.shape)}, got {tuple(lengths.shape)}")
    if batch and not lengths.is_meta and not torch.compiler.is_compiling():
        shortest, longest = (int(bound) for bound in lengths.aminmax())
        if shortest < 1 or longest > length:
            raise ValueError(f"lengths: expected 1 to {length} for x {tuple(x.shape)}, got {shortest} to {longest}")
    return lengths.to(x.device)


def valid_steps(lengths: Tensor, length: int) -> Tensor:
    """Mask (B, length, 1), True at the valid steps."""
    return (torch.arange(length, device=lengths.device) < lengths[:, None])[:, :, None]
