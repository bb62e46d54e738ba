"""Streaming in plain PyTorch, on any device; the kernels are tested against it. `streaming` explains delay lines."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def line_sizes(kernel_size: int, memory: Sequence[int]) -> list[int]:
    """Return the number of slots of each delay line, in the order of a state; their sum is S."""
    scales = range(1, len(memory) + 1)
    wavelet = [(kept - 1) * 2**j for j, kept in zip(scales, reversed(memory), strict=True) if kept > 1]
    return [(kernel_size - 1) * 2 ** (j - 1) for j in scales] + wavelet


def chunk_reference(
    x: Tensor, lines: Tensor, position: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Apply the operator to x (B, D, L), with its past in `lines`; return y (B, D, L) and new lines (B, S, D)."""
    sizes = line_sizes(h0.shape[1], memory)
    slots = [position[:, None] + torch.arange(size, device=x.device) for size in sizes]  # oldest first
    y, later = chunk_in_order(x, _reorder(lines, slots, sizes).transpose(1, 2), h0, h1, w, memory)
    steps = [torch.arange(size, device=x.device) - position[:, None] - x.shape[2] for size in sizes]
    return y, _reorder(later.transpose(1, 2), steps, sizes)


def chunk_in_order(
    x: Tensor, past: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Apply the operator to x (B, D, L); `past` (B, D, S) has its delay lines, each oldest step first.

    Returns:
        y (B, D, L), and the lines after x, in the same order.
    """
    lines = past.split(line_sizes(h0.shape[1], memory), dim=2)
    depth, stop = len(memory), w.shape[1] - 1
    y, a = w[:, -1:] * x, x
    later_a, later_b = [], []
    for j, kept in enumerate(reversed(memory), start=1):
        a_line = torch.cat([lines[j - 1], a], dim=2)
        if kept:
            b_line = _filtered(a_line, h1, 2 ** (j - 1))
            if kept > 1:
                b_line = torch.cat([lines[depth + len(later_b)], b_line], dim=2)
                later_b.append(b_line[:, :, x.shape[2] :])
            y = y + _filtered(b_line, w[:, stop - kept : stop].flip(1), 2**j)
            stop -= kept
        later_a.append(a_line[:, :, x.shape[2] :])
        a = _filtered(a_line, h0, 2 ** (j - 1))
    return y + w[:, :1] * a, torch.cat(later_a + later_b, dim=2)


def _filtered(x: Tensor, taps: Tensor, dilation: int) -> Tensor:
    """Return the outputs of a dilated filter at the steps of x (B, D, L) that have their whole past in x.

    Few taps are summed one by one, which is faster than the grouped convolution of PyTorch and of ONNX Runtime.
    """
    count = taps.shape[1]
    if count > 8:
        return F.conv1d(x, taps[:, None], dilation=dilation, groups=x.shape[1])
    length = x.shape[2] - (count - 1) * dilation
    y = taps[:, :1] * x[:, :, :length]
    for i in range(1, count):
        y = y + taps[:, i, None] * x[:, :, i * dilation : i * dilation + length]
    return y


def _reorder(lines: Tensor, slots: list[Tensor], sizes: list[int]) -> Tensor:
    """Return lines (B, S, D) with the slots of each line reordered: slots (B, size), modulo the size of the line."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    index = torch.cat([start + slot % size for start, slot, size in zip(starts, slots, sizes, strict=True)], dim=1)
    return lines.gather(1, index[:, :, None].expand_as(lines))
