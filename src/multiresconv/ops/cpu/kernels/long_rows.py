"""Numba kernels of the operator for rows longer than the cache.

A row is split by scale. The s finest scales reach back only a few steps, the *halo*; they are computed in tiles of
time, one after the other. The coarser scales read a_s at steps that are multiples of 2^s apart. Each of the 2^s
*phases* n mod 2^s is therefore a short row of its own, on which the coarse scales are the operator applied to a_s. All
work stays in the cache, and a row passes through memory a few times instead of once per scale.

Backward has three passes: a_s, by tiles; the gradient of a_s from a_s and grad_y through the coarse scales, by phases;
the gradient of x from that of a_s through the fine scales, by tiles. The gradients of taps and weights sum products of
an a and a gradient at the same or a later step. A product counts in the tile of its a; the gradients extend one halo
beyond the tile.

Sequences are (N, L, C). With C = 1 they are N separate rows; otherwise BLOCK channels are computed together. Channel c
of sequence i uses filter i * C + c, modulo the number of filters.
"""

from collections.abc import Sequence

import numpy as np
from numba import uintp

from multiresconv.ops.cpu.kernels.jit import inline, kernel
from multiresconv.ops.cpu.kernels.operator import (
    BLOCK,
    add_backward_row,
    descend,
    forward_row,
    gather,
    low_pass_row,
    scatter,
    scatter_add,
)

# Steps of a tile without its halo, and approximate steps of a phase: small enough for a core's own cache in backward.
TILE = 1 << 13
PHASE = 1 << 13


def fine_scales(memory: Sequence[int], kernel_size: int, length: int) -> tuple[int, int]:
    """Return how many of the finest scales are computed in tiles, and the halo: how many steps they reach back.

    At least one scale is left to the phases. Long filters, or many kept coefficients, reduce the number, down to 0, so
    that the halo is at most a quarter of a tile.
    """
    fine, halo = 0, 0
    while fine < len(memory) - 1 and length >> fine > PHASE:
        kept = max(memory[-1 - fine], 1)
        reach = (kernel_size - 1) * ((2 << fine) - 1) + (kept - 1) * (2 << fine)
        if reach > TILE // 4:
            break
        fine, halo = fine + 1, max(halo, reach)
    return fine, halo


@kernel
def forward_long(first, group, x, y, lo, hi, w_fine, w_coarse, fine, coarse, tile, halo, start, stop):
    """Compute y from x, both (N, L, C), for units start..stop. A unit is up to BLOCK channels of a sequence.

    `coarse` and `fine` are the two parts of the memory. Their weights, ordered as in `multires_conv`, are w_coarse
    (D, 1 + sum(coarse) + 1) with w_x = 0 and w_fine (D, 1 + sum(fine) + 1) with w_a = 0.
    """
    length, channels = x.shape[1], x.shape[2]
    blocks, window = (channels + BLOCK - 1) // BLOCK, tile + halo
    kept = np.empty(length * min(channels, BLOCK), x.dtype)  # a_s
    x_rows, y_rows = _rows(channels, window, x), _rows(channels, window, x)
    a, b = np.empty((2, window), x.dtype), np.empty(window, x.dtype)
    for unit in range(start, stop):
        i, offset = unit // blocks, (unit % blocks) * BLOCK
        count = min(BLOCK, channels - offset)
        a_s = kept[: length * count].reshape(length, count)
        for begin in range(0, max(length - halo, 1), tile):
            lead, end = min(begin, halo), min(begin + window, length)
            _load(x_rows, x[i][begin:end], offset, count)
            for r in range(count):
                c, x_row = (i * channels + offset + r) % len(lo), x_rows[r][:window]
                forward_row(first, group, x_row, y_rows[r][:window], lo[c], hi[c], w_fine[c], fine, a, b)
                _copy(x_row, a[(len(fine) - 1) % 2])
            _store(a_s[begin + lead : end], x_rows, 0, count, lead)
            _store(y[i][begin + lead : end], y_rows, offset, count, lead)
        _forward_coarse(first, group, a_s, y, i, offset, lo, hi, w_coarse, coarse, len(fine))


@inline
def _forward_coarse(first, group, a_s, y, i, offset, lo, hi, w, memory, fine):
    """Add the coarse scales' part of y, computed from a_s (L, count)."""
    length, channels = y.shape[1], y.shape[2]
    phases, count = 1 << fine, a_s.shape[1]
    together, steps = max(1, BLOCK // channels), (length + phases - 1) // phases
    x_rows, y_rows = _rows(BLOCK, steps, a_s), _rows(BLOCK, steps, a_s)
    a, b = np.empty((2, steps), a_s.dtype), np.empty(steps, a_s.dtype)
    for phase in range(0, phases, together):
        rows = min(together, phases - phase) * count
        _gather_phases(x_rows, a_s.reshape(-1), phases * count, phase * count, rows)
        for r in range(rows):
            c = (i * channels + offset + r % count) % len(lo)
            forward_row(first, group, x_rows[r][:steps], y_rows[r][:steps], lo[c], hi[c], w[c], memory, a, b)
        _add_phases(y[i].reshape(-1), y_rows, phases * channels, phase * channels + offset, rows)


@kernel
def backward_long(
    first, group, x, grad_y, grad_x, lo, hi, w_fine, w_coarse, fine, coarse, tile, halo, grads_fine, grads_coarse,
    start, stop,
):  # fmt: skip
    """Compute grad_x from x and grad_y, all (N, L, C), for units start..stop; see `forward_long`.

    grads_fine (N * C, 2K + width of w_fine) and grads_coarse (N * C, 2K + width of w_coarse) receive each part's
    contribution to the gradients of lo and hi, and the gradients of its weights.
    """
    length, channels = x.shape[1], x.shape[2]
    blocks, window, scales = (channels + BLOCK - 1) // BLOCK, tile + halo, len(fine)
    kept = np.empty(length * min(channels, BLOCK), x.dtype)  # a_s, then its gradient
    x_rows, y_rows = _rows(channels, window + halo, x), _rows(channels, window + halo, x)
    s_rows = _rows(channels, window + halo, x)
    a, scratch = np.zeros((scales, window + halo), x.dtype), np.empty((4, window + halo), x.dtype)
    taps = np.empty((2, lo.shape[1]), x.dtype)
    for unit in range(start, stop):
        i, offset = unit // blocks, (unit % blocks) * BLOCK
        count = min(BLOCK, channels - offset)
        a_s = kept[: length * count].reshape(length, count)
        for begin in range(0, max(length - halo, 1), tile):
            lead, end = min(begin, halo), min(begin + window, length)
            _load(x_rows, x[i][begin:end], offset, count)
            for r in range(count):
                c, x_row = (i * channels + offset + r) % len(lo), x_rows[r][:window]
                low_pass_row(first, group, x_row, lo[c], fine, a)
                _copy(x_row, a[scales - 1])
            _store(a_s[begin + lead : end], x_rows, 0, count, lead)
        _backward_coarse(first, group, a_s, grad_y, i, offset, lo, hi, w_coarse, coarse, scales, grads_coarse)
        for begin in range(0, max(length - halo, 1), tile):
            lead, end = min(begin, halo), min(begin + window, length)
            until = min(end + halo, length)
            _load(x_rows, x[i][begin:end], offset, count)
            _load(y_rows, grad_y[i][begin + lead : until], offset, count)
            _load(s_rows, a_s[begin + lead : until], 0, count)
            for r in range(count):
                row = i * channels + offset + r
                c, x_row, y_row = row % len(lo), x_rows[r][: window + halo], y_rows[r]
                if begin == 0:
                    grads_fine[row, :] = 0
                low_pass_row(first, group, x_row[:window], lo[c], fine, a)
                _copy(scratch[1], s_rows[r])
                grads_fine[row, -1] += _dot(x_row[lead:], y_row)
                rows = x_row, y_row, x_row
                descend(
                    first, group, rows, lo[c], hi[c], w_fine[c], fine, a, scratch, taps, grads_fine[row], lead, window
                )
            _store(grad_x[i][begin + lead : end], x_rows, offset, count, 0)


@inline
def _backward_coarse(first, group, a_s, grad_y, i, offset, lo, hi, w, memory, fine, grads):
    """Overwrite a_s (L, count) with its gradient."""
    length, channels = grad_y.shape[1], grad_y.shape[2]
    phases, count = 1 << fine, a_s.shape[1]
    together, steps = max(1, BLOCK // channels), (length + phases - 1) // phases
    x_rows, y_rows = _rows(BLOCK, steps, a_s), _rows(BLOCK, steps, a_s)
    a, scratch = np.empty((len(memory), steps), a_s.dtype), np.empty((4, steps), a_s.dtype)
    taps = np.empty((2, lo.shape[1]), a_s.dtype)
    grads[i * channels + offset : i * channels + offset + count, :] = 0
    for phase in range(0, phases, together):
        n_rows = min(together, phases - phase) * count
        _gather_phases(x_rows, a_s.reshape(-1), phases * count, phase * count, n_rows)
        _gather_phases(y_rows, grad_y[i].reshape(-1), phases * channels, phase * channels + offset, n_rows)
        for r in range(n_rows):
            row = i * channels + offset + r % count
            c, rows = row % len(lo), (x_rows[r][:steps], y_rows[r][:steps], x_rows[r][:steps])
            low_pass_row(first, group, rows[0], lo[c], memory, a)
            add_backward_row(first, group, rows, lo[c], hi[c], w[c], memory, a, scratch, taps, grads[row])
        _put_phases(a_s.reshape(-1), x_rows, phases * count, phase * count, n_rows)


@inline
def _rows(channels, steps, like):
    """Allocate the rows of a block; rows a power of two apart would share the same few cache sets."""
    return np.empty((min(channels, BLOCK), steps + 16), like.dtype)


@inline
def _copy(out, row):
    for n in range(uintp(min(len(out), len(row)))):
        out[n] = row[n]


@inline
def _dot(row, other):
    total = row.dtype.type(0)
    for n in range(uintp(min(len(row), len(other)))):
        total += row[n] * other[n]
    return total


@inline
def _load(rows, columns, first, count):
    """rows[r, n] = columns[n, first + r], and zero beyond the last column."""
    steps = len(columns)
    if columns.shape[1] == 1:
        _copy(rows[0], columns.reshape(-1))
    else:
        gather(rows, columns, first, count)
    for r in range(count):
        rows[r][steps:] = 0


@inline
def _store(columns, rows, first, count, skip):
    """columns[n, first + r] = rows[r, skip + n]."""
    if columns.shape[1] == 1:
        _copy(columns.reshape(-1), rows[0][skip:])
    else:
        scatter(columns, rows, first, count, skip)


@inline
def _gather_phases(rows, flat, width, first, count):
    """rows[r, k] = flat[k * width + first + r], and zero beyond the end."""
    whole = len(flat) // width
    gather(rows, flat[: whole * width].reshape(whole, width), first, count)
    for r in range(count):
        n = whole * width + first + r
        rows[r, whole] = flat[n] if n < len(flat) else rows.dtype.type(0)


@inline
def _put_phases(flat, rows, width, first, count):
    """The inverse of `_gather_phases`."""
    whole = len(flat) // width
    scatter(flat[: whole * width].reshape(whole, width), rows, first, count, 0)
    for n in range(whole * width + first, min(whole * width + first + count, len(flat))):
        flat[n] = rows[n - whole * width - first, whole]


@inline
def _add_phases(flat, rows, width, first, count):
    """Add rows as `_put_phases` writes them: flat[k * width + first + r] += rows[r, k]."""
    whole = len(flat) // width
    scatter_add(flat[: whole * width].reshape(whole, width), rows, first, count)
    for n in range(whole * width + first, min(whole * width + first + count, len(flat))):
        flat[n] += rows[n - whole * width - first, whole]
