"""Numba kernels of `ops.shares`: coefficients are compared with thresholds while they are in the cache, never stored.

Taps are *newest first* here, as in `kernels.operator`, and a tuple's length is part of its type, so that the loops over
taps and thresholds are unrolled. `pool` vectorises over time, `advance` over filters. Both add the products of a
coefficient in the same order and without reassociation, so that they get the same bits: one bit could move a
coefficient across a threshold.
"""

# Numba's intrinsics are called with one argument less than type checkers see in their definition.
# pyright: reportCallIssue=false

import numpy as np
from numba import float32, float64, int64, uintp
from numba.cpython.unsafe.tuple import tuple_setitem

from multiresconv.ops.cpu.kernels.jit import exact, inline, kernel
from multiresconv.ops.cpu.kernels.operator import take

# Patterns of the taps of the first pass over a row, and of the taps or thresholds of each later one. Every filter has
# two taps, so that these serve all filters.
_FIRST = (np.float32(0),) * 2
_GROUP = (np.float32(0),) * 4
# Steps that are counted in float32: all sums are whole numbers below 2^24, which it holds, in any order of adding.
PIECE = 256
# A rise counts as this many steps above, so that one sum holds both counts.
RISE = 1 << 12
# Filters that a thread advances together.
BLOCK = 64


@kernel
def pool(x, starts, mix, lo, hi, thresholds, out, start, stop):
    """Write the shares of the units start..stop; a unit is a filter on a sequence.

    Args:
        x: (C, total of lengths); sequence i is x[:, starts[i] : starts[i + 1]].
        mix: (F, C).
        lo, hi: (F, K).
        thresholds: (F, J, 2, T).
        out: (N, F, J, 2, 3, T).
    """
    filters, depth = thresholds.shape[0], thresholds.shape[1]
    longest = 0
    for i in range(len(starts) - 1):
        longest = max(longest, starts[i + 1] - starts[i])
    rows = np.empty((3, longest + 16), x.dtype)  # rows a power of two apart would share the same few cache sets
    ramp = np.arange(PIECE).astype(x.dtype)
    for unit in range(start, stop):
        i, f = unit // filters, unit % filters
        length = starts[i + 1] - starts[i]
        a, low, high = rows[0][:length], rows[1][:length], rows[2][:length]
        _mix_row(a, x[:, starts[i] : starts[i + 1]], mix[f])
        for j in range(depth):
            _filter_pair(low, high, a, lo[f], hi[f], 1 << min(j, 40))
            _count(low, thresholds[f, j, 0], ramp, out[i, f, j, 0])
            _count(high, thresholds[f, j, 1], ramp, out[i, f, j, 1])
            a, low = low, a


@kernel
def coefficients(x, starts, mix, lo, hi, filters, out, start, stop):
    """Write the coefficients of sequences start..stop to out (J, 2, total of lengths); filters[i] is used on i."""
    for i in range(start, stop):
        begin, end, f = starts[i], starts[i + 1], filters[i]
        a = np.empty(end - begin, x.dtype)
        _mix_row(a, x[:, begin:end], mix[f])
        for j in range(len(out)):
            _filter_pair(out[j, 0, begin:end], out[j, 1, begin:end], a, lo[f], hi[f], 1 << min(j, 40))
            a = out[j, 0, begin:end]


@kernel
def advance(x, steps, lines, before, counts, mix, lo, hi, thresholds, start, stop):
    """Count the next steps x (n, C) in place, for the blocks start..stop of filters.

    Filters are the last axis of all arrays, so that every loop over them is vectorised: lines (S, F) holds the past of
    each scale, scale after scale; before (J, 2, F) the coefficients of the step before; counts (J, 2, 3, T, F) the
    steps above, the rises and the sum of the numbers of the steps above; mix (C, F), lo and hi (K, F),
    thresholds (J, 2, T, F). `steps` is how many steps came before.
    """
    width = min(BLOCK, mix.shape[1])
    scratch = np.empty((3, width), lines.dtype)
    for block in range(start, stop):
        begin = block * BLOCK
        end = min(begin + BLOCK, mix.shape[1])
        for n in range(len(x)):
            _step(
                x[n], steps + n, lines[:, begin:end], before[:, :, begin:end], counts[:, :, :, :, begin:end],
                mix[:, begin:end], lo[:, begin:end], hi[:, begin:end], thresholds[:, :, :, begin:end], scratch,
            )  # fmt: skip


@exact
def _mix_row(out, x, weights):
    """out[n] = sum_c weights[c] x[c, n]."""
    for n in range(uintp(len(out))):
        out[n] = weights[0] * x[0, n]
    for c in range(1, len(weights)):
        w, row = weights[c], x[c]
        if w != 0:
            for n in range(uintp(len(out))):
                out[n] += w * row[n]


@exact
def _filter_pair(low, high, a, lo, hi, dilation):
    """low[n] = sum_i lo[i] a[n - i*d] and high[n] = sum_i hi[i] a[n - i*d]."""
    length, d = uintp(len(a)), uintp(dilation)
    some_lo, some_hi = take(_FIRST, lo, 0), take(_FIRST, hi, 0)
    for s in range(len(_FIRST)):  # section s: the steps at which s+1 taps lie within the row
        start = min(uintp(s) * d, length)
        stop = length if s == len(_FIRST) - 1 else min(start + d, length)
        for n in range(start, stop):
            p = some_lo[0] * a[n]
            q = some_hi[0] * a[n]
            for i in range(1, s + 1):
                p += some_lo[i] * a[n - uintp(i) * d]
                q += some_hi[i] * a[n - uintp(i) * d]
            low[n] = p
            high[n] = q
    grouped = len(_FIRST) + (len(lo) - len(_FIRST)) // len(_GROUP) * len(_GROUP)
    for t in range(len(_FIRST), grouped, len(_GROUP)):
        _add_taps(_GROUP, low, high, a, lo, hi, t, dilation)
    for t in range(grouped, len(lo)):
        _add_taps(_GROUP[:1], low, high, a, lo, hi, t, dilation)


@exact
def _add_taps(pattern, low, high, a, lo, hi, t, dilation):
    """Add the products of the taps t..t + len(pattern) - 1."""
    lag = min(t * dilation, len(a))
    length, d = uintp(len(a) - lag), uintp(dilation)
    low, high, some_lo, some_hi = low[lag:], high[lag:], take(pattern, lo, t), take(pattern, hi, t)
    for s in range(len(pattern)):
        start = min(uintp(s) * d, length)
        stop = length if s == len(pattern) - 1 else min(start + d, length)
        for n in range(start, stop):
            p = low[n]
            q = high[n]
            for i in range(s + 1):
                p += some_lo[i] * a[n - uintp(i) * d]
                q += some_hi[i] * a[n - uintp(i) * d]
            low[n] = p
            high[n] = q


@inline
def _count(row, thresholds, ramp, out):
    """Write the shares of all thresholds to out (3, T)."""
    grouped = len(thresholds) // len(_GROUP) * len(_GROUP)
    for t in range(0, grouped, len(_GROUP)):
        _count_some(_GROUP, row, thresholds, t, ramp, out)
    for t in range(grouped, len(thresholds)):
        _count_some(_GROUP[:1], row, thresholds, t, ramp, out)


@inline
def _count_some(pattern, row, thresholds, t, ramp, out):
    """Write the shares of the thresholds t..t + len(pattern) - 1."""
    length, some = len(row), take(pattern, thresholds, t)
    one = float64(1)
    above, rises, numbers = _each(pattern, one), _each(pattern, one), _each(pattern, one)
    for i in range(len(pattern)):
        start = float64(row[0] > some[i])
        above, rises = tuple_setitem(above, i, start), tuple_setitem(rises, i, start)
        numbers = tuple_setitem(numbers, i, start)
    for begin in range(1, length, PIECE):
        both, places = _count_piece(row[begin - 1 : begin + PIECE], some, ramp)
        for i in range(len(pattern)):
            risen = int64(both[i]) // RISE
            here = float64(int64(both[i]) - risen * RISE)
            above = tuple_setitem(above, i, above[i] + here)
            rises = tuple_setitem(rises, i, rises[i] + float64(risen))
            numbers = tuple_setitem(numbers, i, numbers[i] + (here * float64(begin + 1) + float64(places[i])))
    for i in range(len(pattern)):
        out[0, t + i], out[1, t + i], out[2, t + i] = shares(above[i], rises[i], numbers[i], length)


@exact
def shares(above, rises, numbers, length):
    """Return the three shares of whole counts; `numbers` is the sum of the numbers, from 1, of the steps above."""
    n = float64(length)
    return float32(above / n), float32(rises / n), float32(numbers / (0.5 * n * (n + 1)))


@inline
def _each(pattern, value):
    """Return a tuple of zeros of the type of `value`, as long as the pattern."""
    if len(pattern) == 1:
        return (value * 0,)
    return (value * 0, value * 0, value * 0, value * 0)


@inline
def _count_piece(row, thresholds, ramp):
    """Count from the second step of the row on, which has number 0 here.

    Returns:
        per threshold: the steps above plus RISE times the rises; the sum of the numbers of the steps above.
    """
    zero, above, risen = float32(0), float32(1), float32(1 + RISE)
    both, numbers = thresholds, thresholds
    for i in range(len(thresholds)):
        both, numbers = tuple_setitem(both, i, zero), tuple_setitem(numbers, i, zero)
    for n in range(uintp(1), uintp(len(row))):
        now, before, number = row[n], row[n - uintp(1)], ramp[n - uintp(1)]
        for i in range(len(thresholds)):
            weight = above if before > thresholds[i] else risen
            both = tuple_setitem(both, i, both[i] + (weight if now > thresholds[i] else zero))
            numbers = tuple_setitem(numbers, i, numbers[i] + (number if now > thresholds[i] else zero))
    return both, numbers


@exact
def _step(x, n, lines, before, counts, mix, lo, hi, thresholds, scratch):
    """Count step n, x (C,), of a block of filters; see `advance`."""
    width, last = uintp(mix.shape[1]), len(lo) - 1
    a, low, high = scratch[0], scratch[1], scratch[2]
    for f in range(width):
        a[f] = mix[0, f] * x[0]
    for c in range(1, len(x)):
        value = x[c]
        for f in range(width):
            a[f] += mix[c, f] * value
    start = 0
    for j in range(len(thresholds)):
        size = last << j
        past = lines[start + (n - (1 << j)) % size]
        for f in range(width):
            p = lo[0, f] * a[f]
            q = hi[0, f] * a[f]
            p += lo[1, f] * past[f]
            q += hi[1, f] * past[f]
            low[f] = p
            high[f] = q
        for i in range(2, last + 1):
            past = lines[start + (n - (i << j)) % size]
            for f in range(width):
                low[f] += lo[i, f] * past[f]
                high[f] += hi[i, f] * past[f]
        line = lines[start + n % size]
        for f in range(width):
            line[f] = a[f]
        _count_step(n, low, before[j, 0], counts[j, 0], thresholds[j, 0])
        _count_step(n, high, before[j, 1], counts[j, 1], thresholds[j, 1])
        start += size
        a, low = low, a


@exact
def _count_step(n, now, before, counts, thresholds):
    """Count one coefficient per filter, now (F,), and put it in the place of the one before."""
    width, number = uintp(len(before)), float64(n + 1)
    zero, one = float64(0), float64(1)
    for t in range(len(thresholds)):
        threshold, above, rises, numbers = thresholds[t], counts[0, t], counts[1, t], counts[2, t]
        for f in range(width):
            is_above = now[f] > threshold[f]
            above[f] += one if is_above else zero
            rises[f] += one if is_above and not before[f] > threshold[f] else zero
            numbers[f] += number if is_above else zero
    for f in range(width):
        before[f] = now[f]
