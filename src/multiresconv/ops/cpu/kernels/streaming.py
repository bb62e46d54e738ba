"""Numba kernel of streaming: the next steps of the operator on delay lines.

`ops.streaming` describes the delay lines. Channels are contiguous, so every loop over channels is vectorised, with
unsigned indices as in `kernels.operator`. The taps are transposed to (K, D), *newest first*, and the weights to (W, D).
A position may be any integer: Numba's remainder, like Python's, is never negative, so no index leaves its line.
"""

# Numba's intrinsics are called with one argument less than type checkers see in their definition.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportPrivateImportUsage=false

import numpy as np
from numba import carray, uintp

from multiresconv.ops.cpu.kernels.addresses import pointer_at, prefetch_row
from multiresconv.ops.cpu.kernels.jit import inline, kernel

# Channels that a thread computes together: their delay lines stay in the nearest caches.
BLOCK = 128


@kernel
def advance(x, y, first_row, row_size, slots, position, h0, h1, w, memory, start, stop):
    """Compute y from the next steps x, both (B, L, D), for units start..stop. A unit is up to BLOCK channels of a row.

    first_row: address of the first row's delay lines (slots, D); those of the next row are row_size bytes further.
    position (B,), h0 and h1 (D, K), w (D, W).
    """
    channels, dtype = x.shape[2], x.dtype
    blocks = (channels + BLOCK - 1) // BLOCK
    scratch = np.empty((3, channels), dtype)
    lo, hi = np.empty(h0.shape[::-1], dtype), np.empty(h1.shape[::-1], dtype)
    weights = np.empty(w.shape[::-1], dtype)
    transpose(lo, h0, True)
    transpose(hi, h1, True)
    transpose(weights, w, False)
    for unit in range(start, stop):
        row, first = unit // blocks, unit % blocks * BLOCK
        last = min(first + BLOCK, channels)
        lines = carray(pointer_at(first_row + row * row_size), (slots, channels), dtype)
        for n in range(x.shape[1]):
            step(x[row, n], y[row, n], lines, lines, position[row] + n, lo, hi, weights, memory, scratch, first, last)


@inline
def step(x, y, lines, ahead, n, lo, hi, w, memory, scratch, first, last):
    """Compute step n of the channels first..last of a row: x -> y, both (D,); lines (S, D), scratch (3, D).

    `ahead` are the delay lines that the caller uses next. The values that step n reads from their scaling coefficients
    are prefetched, because the lines of many rows do not stay in the caches from one step to the next.
    """
    a, low, high = scratch[0], scratch[1], scratch[2]
    depth, reach, stop = len(memory), len(lo) - 1, len(w) - 1
    start, wavelet_start = 0, reach * ((1 << depth) - 1)
    for c in range(uintp(first), uintp(last)):
        a[c] = x[c]
        y[c] = w[stop, c] * x[c]
    for j in range(1, depth + 1):
        kept, dilation = memory[depth - j], 1 << (j - 1)
        size = reach * dilation
        slot = start + n % size
        line = lines[slot]  # holds step n - size, the oldest that the filters read, until this step overwrites it
        for c in range(uintp(first), uintp(last)):
            low[c] = lo[0, c] * a[c] + lo[reach, c] * line[c]
        for i in range(1, reach):
            past = lines[start + (n - i * dilation) % size]
            for c in range(uintp(first), uintp(last)):
                low[c] += lo[i, c] * past[c]
        if kept > 0:
            for c in range(uintp(first), uintp(last)):
                high[c] = hi[0, c] * a[c] + hi[reach, c] * line[c]
            for i in range(1, reach):
                past = lines[start + (n - i * dilation) % size]
                for c in range(uintp(first), uintp(last)):
                    high[c] += hi[i, c] * past[c]
            for c in range(uintp(first), uintp(last)):
                y[c] += w[stop - kept, c] * high[c]
        for c in range(uintp(first), uintp(last)):
            line[c] = a[c]
        prefetch_row(ahead[slot], first, last)
        start += size
        if kept > 1:
            size = (kept - 1) * 2 * dilation
            for t in range(1, kept):
                past = lines[wavelet_start + (n - 2 * t * dilation) % size]
                for c in range(uintp(first), uintp(last)):
                    y[c] += w[stop - kept + t, c] * past[c]
            newest = lines[wavelet_start + n % size]
            for c in range(uintp(first), uintp(last)):
                newest[c] = high[c]
            wavelet_start += size
        stop -= kept
        a, low = low, a
    for c in range(uintp(first), uintp(last)):
        y[c] += w[0, c] * a[c]


@inline
def transpose(out, taps, newest_first):
    """Transpose taps (D, K) into out (K, D), in reversed order if `newest_first`."""
    count = len(out)
    for i in range(count):
        source = count - 1 - i if newest_first else i
        for c in range(uintp(out.shape[1])):
            out[i, c] = taps[c, source]
