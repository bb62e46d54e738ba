"""Triton kernels of the operator: all scales of a tile of rows while it is in registers.

Notation as in `multires_conv`: a_j are scaling and b_j wavelet coefficients. `tiles` defines tiles, blocks and lanes.
Taps are *newest first* here. Dilations, counts and columns are compile-time constants: every loop is unrolled, and taps
that reach beyond the tile are left out. Sums have a fixed order. Data moves through the memories as follows:

- main memory: forward reads x and writes y; backward reads x and grad_y and writes grad_x and a row of partial sums
  (2K + width of w numbers) for each row. The parameters of a row are one load, one parameter per lane.
- caches: backward reads x again for each segment of scales (below).
- shared memory: only for the transposition in `tiles`, when a tile is read or written. Delays need none: multiples of T
  select other registers, the rest are shuffles within a warp.
- registers: a_j and y in forward; the gradient of a_j, grad_y and the a_j of one segment in backward.

Backward goes from coarse to fine, but the a_j are computed from fine to coarse, and all of them would not fit in
registers. So backward takes the scales in segments of KEEP; for each it reads x again and recomputes the segment's a_j.

A row that does not fit takes several launches (`backend`). A launch whose finest scale has dilation P sees a row as P
interleaved phases, step n = phase + P*m. Each phase is a row of its own, with dilations 1, 2, 4, ... Rows longer than a
tile are cut into windows. HALO steps of a window are read but belong to a neighbour: those before the window's own
steps in forward, those on both sides in backward.
"""

# Triton compiles a subset of Python: `*` does not unpack tuples, a condition on constants selects the code to compile,
# and types are not those that type checkers infer.
# ruff: noqa: RUF005
# pyright: reportOperatorIssue=false, reportIndexIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportAssignmentType=false

import triton
import triton.language as tl

from multiresconv.ops.triton.tiles import (
    advanced_block,
    delayed_block,
    offset,
    parameter,
    read,
    row_parameters,
    rows,
    taps_at,
    weights_at,
    write,
)


@triton.jit
def _filter(a, taps, d: tl.constexpr, lane, K: tl.constexpr, T: tl.constexpr, R: tl.constexpr):
    """sum_{i<K} taps[i] a[n - i*d]."""
    out = ()
    for r in tl.static_range(R):
        p = taps[0] * a[r]
        for i in tl.static_range(1, K):
            if i * d < (r + 1) * T:
                p = tl.fma(taps[i], delayed_block(a, r, i * d, lane, T), p)
        out = out + (p,)
    return out


@triton.jit
def _filter_add(y, a, taps, d: tl.constexpr, lane, K: tl.constexpr, T: tl.constexpr, R: tl.constexpr):
    """y[n] + sum_{i<K} taps[i] a[n - i*d]."""
    out = ()
    for r in tl.static_range(R):
        p = y[r]
        for i in tl.static_range(K):
            if i * d < (r + 1) * T:
                p = tl.fma(taps[i], delayed_block(a, r, i * d, lane, T), p)
        out = out + (p,)
    return out


@triton.jit
def _filter_pair(y, a, lo, hi, d: tl.constexpr, lane, K: tl.constexpr, T: tl.constexpr, R: tl.constexpr):
    """Return `_filter` with lo and `_filter_add` with hi; each delayed block is computed once."""
    out = ()
    added = ()
    for r in tl.static_range(R):
        p = lo[0] * a[r]
        q = tl.fma(hi[0], a[r], y[r])
        for i in tl.static_range(1, K):
            if i * d < (r + 1) * T:
                delayed = delayed_block(a, r, i * d, lane, T)
                p = tl.fma(lo[i], delayed, p)
                q = tl.fma(hi[i], delayed, q)
        out = out + (p,)
        added = added + (q,)
    return out, added


@triton.jit
def _filter_add_backward(
    grad_in, grad_out, a, taps, sums, d: tl.constexpr, lane, K: tl.constexpr, T: tl.constexpr, R: tl.constexpr
):
    """Adjoint of `_filter_add`: grad_in[n] + sum_i taps[i] grad_out[n + i*d], and sums[i] + grad_out[n + i*d] a[n].

    The second result is summed over blocks, but not yet over lanes.
    """
    out = ()
    for r in tl.static_range(R):
        p = grad_in[r]
        added = ()
        for i in tl.static_range(K):
            total = sums[i]
            if i * d < (R - r) * T:
                g = advanced_block(grad_out, r, i * d, lane, T, R)
                p = tl.fma(taps[i], g, p)
                total = tl.fma(g, a[r], total)
            added = added + (total,)
        out = out + (p,)
        sums = added
    return out, sums


@triton.jit
def _scaled(taps, factor, K: tl.constexpr):
    out = ()
    for i in tl.static_range(K):
        out = out + (taps[i] * factor,)
    return out


@triton.jit
def _zeros(count: tl.constexpr, C: tl.constexpr, T: tl.constexpr, dtype: tl.constexpr):
    out = ()
    for _ in tl.static_range(count):
        out = out + (tl.zeros((C, T), dtype),)
    return out


@triton.jit
def forward(
    a_in, y_in, packed, a_out, y_out, length, channels, phases,
    in_b, in_d, in_l, out_b, out_d, out_l,
    K: tl.constexpr, WIDTH: tl.constexpr, SIZE: tl.constexpr, KEPT: tl.constexpr, COLUMN: tl.constexpr,
    DEPTH: tl.constexpr, FIRST: tl.constexpr, LAST: tl.constexpr, WITH_Y: tl.constexpr,
    HALO: tl.constexpr, TILES: tl.constexpr, PHASE_ROWS: tl.constexpr,
    C: tl.constexpr, T: tl.constexpr, R: tl.constexpr, DOUBLE: tl.constexpr,
):  # fmt: skip
    """Compute DEPTH scales: a_in -> a_out (unless LAST), and their part of y added to y_in -> y_out (if WITH_Y).

    FIRST: there is no y_in; y starts with w_x*x. LAST: y includes w_a*a_J. a_in has strides in_*, the others out_*.
    KEPT and COLUMN are the m_j and the column of w_{j,0} in w, finest scale first.
    """
    dtype: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    b, channel, phase, limit, window = rows(length, channels, phases, TILES, PHASE_ROWS, C)
    start = window * (R * T - HALO)
    lane = tl.broadcast_to(tl.arange(0, T)[None, :], (C, T))
    parameters = row_parameters(packed, channel, limit, 2 * K + WIDTH, SIZE, dtype)
    lo = taps_at(parameters, 0, K, C, T)
    hi = taps_at(parameters, K, K, C, T)

    base = offset(b, channel, phase, in_b, in_d, in_l)
    a = read(a_in, base, phases, in_l, start - HALO, limit, dtype, C, T, R)
    base = offset(b, channel, phase, out_b, out_d, out_l)
    if FIRST:
        y = _scaled(a, parameter(parameters, 2 * K + WIDTH - 1, C, T), R)
    elif WITH_Y:
        y = read(y_in, base, phases, out_l, start - HALO, limit, dtype, C, T, R)
    for s in tl.static_range(DEPTH):
        if WITH_Y and KEPT[s] == 1:
            folded = _scaled(hi, parameter(parameters, 2 * K + COLUMN[s], C, T), K)
            a, y = _filter_pair(y, a, lo, folded, 2**s, lane, K, T, R)
        else:
            if WITH_Y and KEPT[s] > 1:
                wavelet = _filter(a, hi, 2**s, lane, K, T, R)
                weights = weights_at(parameters, 2 * K + COLUMN[s], KEPT[s], C, T)
                y = _filter_add(y, wavelet, weights, 2 ** (s + 1), lane, KEPT[s], T, R)
            a = _filter(a, lo, 2**s, lane, K, T, R)
    if LAST:
        y = _filter_add(y, a, weights_at(parameters, 2 * K, 1, C, T), 1, lane, 1, T, R)
    else:
        write(a_out, a, base, phases, out_l, start - HALO, start, limit, C, T, R)
    if WITH_Y:
        write(y_out, y, base, phases, out_l, start - HALO, start, limit, C, T, R)


@triton.jit
def _inner(g, a, C: tl.constexpr, T: tl.constexpr, R: tl.constexpr, dtype: tl.constexpr):
    """Return the sum of g * a over all steps, (C, 1)."""
    out = tl.zeros((C, T), dtype)
    for r in tl.static_range(R):
        out = tl.fma(g[r], a[r], out)
    return tl.sum(out, 1, keep_dims=True)


@triton.jit
def _owned(a, lane, HALO: tl.constexpr, T: tl.constexpr, R: tl.constexpr):
    """Return a with the halo on both sides set to 0, so that each step counts in one window only."""
    if HALO == 0:
        return a
    else:
        out = ()
        for r in tl.static_range(R):
            n = r * T + lane
            out = out + (tl.where((n >= HALO) & (n < R * T - HALO), a[r], 0.0),)
        return out


@triton.jit
def _scale_backward(
    g, gy, a, lo, hi, sums_lo, sums_hi, total, parameters, column, lane,
    d: tl.constexpr, kept: tl.constexpr, first: tl.constexpr,
    HALO: tl.constexpr, K: tl.constexpr, C: tl.constexpr, T: tl.constexpr, R: tl.constexpr, dtype: tl.constexpr,
):  # fmt: skip
    """Backpropagate one scale of dilation d: return the gradient of its input a, given that of its output, g, and sums.

    Its `kept` weights are the columns `first`, `first` + 1, ... of `parameters` and `total`. The returned sums_lo,
    sums_hi and total include this scale's parameter gradients.
    """
    owned = _owned(a, lane, HALO, T, R)
    g, sums_lo = _filter_add_backward(_zeros(R, C, T, dtype), g, owned, lo, sums_lo, d, lane, K, T, R)
    if kept == 1:
        weight = parameter(parameters, first, C, T)
        folded = _scaled(hi, weight, K)
        g, sums_b = _filter_add_backward(g, gy, owned, folded, _zeros(K, C, T, dtype), d, lane, K, T, R)
        along = tl.zeros((C, T), dtype)
        added = ()
        for i in tl.static_range(K):
            along = tl.fma(hi[i], sums_b[i], along)
            added = added + (tl.fma(weight, sums_b[i], sums_hi[i]),)
        sums_hi = added
        total = tl.where(column == first, tl.sum(along, 1, keep_dims=True), total)
    if kept > 1:
        wavelet = _owned(_filter(a, hi, d, lane, K, T, R), lane, HALO, T, R)
        weights = weights_at(parameters, first, kept, C, T)
        grad_b, sums_w = _filter_add_backward(
            _zeros(R, C, T, dtype), gy, wavelet, weights, _zeros(kept, C, T, dtype), 2 * d, lane, kept, T, R
        )
        for t in tl.static_range(kept):
            total = tl.where(column == first + t, tl.sum(sums_w[t], 1, keep_dims=True), total)
        g, sums_hi = _filter_add_backward(g, grad_b, owned, hi, sums_hi, d, lane, K, T, R)
    return g, sums_lo, sums_hi, total


@triton.jit
def _levels(
    a, lo, lane, finest: tl.constexpr, count: tl.constexpr, K: tl.constexpr, T: tl.constexpr, R: tl.constexpr
):  # fmt: skip
    """Return the inputs of the scales finest .. finest + count - 1, given the input a of scale 0."""
    for s in tl.static_range(finest):
        a = _filter(a, lo, 2**s, lane, K, T, R)
    levels = (a,)
    for s in tl.static_range(finest, finest + count - 1):
        levels = levels + (_filter(levels[s - finest], lo, 2**s, lane, K, T, R),)
    return levels


@triton.jit
def backward(
    grad_y, a_in, grad_out, packed, grad_in, sums, length, channels, phases,
    gy_b, gy_d, gy_l, in_b, in_d, in_l, out_b, out_d, out_l,
    K: tl.constexpr, WIDTH: tl.constexpr, SIZE: tl.constexpr, KEPT: tl.constexpr, COLUMN: tl.constexpr,
    DEPTH: tl.constexpr, FIRST: tl.constexpr, LAST: tl.constexpr, SEGMENTS: tl.constexpr, KEEP: tl.constexpr,
    HALO: tl.constexpr, TILES: tl.constexpr, PHASE_ROWS: tl.constexpr,
    C: tl.constexpr, T: tl.constexpr, R: tl.constexpr, DOUBLE: tl.constexpr,
):  # fmt: skip
    """Adjoint of `forward`: grad_y and, unless LAST, grad_out (the gradient of a_out) -> grad_in, and rows of sums.

    grad_y has strides gy_*, a_in in_*, grad_out and grad_in out_*. sums (batch, windows, phases, channels, 2K + WIDTH)
    receives each row's gradients of h0, h1 and w, in this order.
    """
    dtype: tl.constexpr = tl.float64 if DOUBLE else tl.float32
    STEP: tl.constexpr = R * T - 2 * HALO
    b, channel, phase, limit, window = rows(length, channels, phases, TILES, PHASE_ROWS, C)
    first = window * STEP - HALO
    lane = tl.broadcast_to(tl.arange(0, T)[None, :], (C, T))
    parameters = row_parameters(packed, channel, limit, 2 * K + WIDTH, SIZE, dtype)
    lo = taps_at(parameters, 0, K, C, T)
    hi = taps_at(parameters, K, K, C, T)
    column = tl.broadcast_to(tl.arange(0, SIZE)[None, :], (C, SIZE))
    total = tl.zeros((C, SIZE), dtype)

    base = offset(b, channel, phase, gy_b, gy_d, gy_l)
    gy = read(grad_y, base, phases, gy_l, first, limit, dtype, C, T, R)
    out_base = offset(b, channel, phase, out_b, out_d, out_l)
    if LAST:
        g = _scaled(gy, parameter(parameters, 2 * K, C, T), R)
    else:
        g = read(grad_out, out_base, phases, out_l, first, limit, dtype, C, T, R)

    in_base = offset(b, channel, phase, in_b, in_d, in_l)
    sums_lo = _zeros(K, C, T, dtype)
    sums_hi = _zeros(K, C, T, dtype)
    for k in tl.static_range(SEGMENTS - 1, -1, -1):
        if k < SEGMENTS - 1:
            # Not a synchronisation: it stops the compiler from keeping in registers the values recomputed below.
            tl.debug_barrier()
        a = read(a_in, in_base, phases, in_l, first, limit, dtype, C, T, R)
        levels = _levels(a, lo, lane, k * KEEP, KEEP if k < SEGMENTS - 1 else DEPTH - k * KEEP, K, T, R)
        if LAST and k == SEGMENTS - 1:
            a = _owned(_filter(levels[DEPTH - 1 - k * KEEP], lo, 2 ** (DEPTH - 1), lane, K, T, R), lane, HALO, T, R)
            total = tl.where(column == 2 * K, _inner(gy, a, C, T, R, dtype), total)
        for s in tl.static_range((KEEP if k < SEGMENTS - 1 else DEPTH - k * KEEP) - 1, -1, -1):
            g, sums_lo, sums_hi, total = _scale_backward(
                g, gy, levels[s], lo, hi, sums_lo, sums_hi, total, parameters, column, lane,
                2 ** (k * KEEP + s), KEPT[k * KEEP + s], 2 * K + COLUMN[k * KEEP + s], HALO, K, C, T, R, dtype,
            )  # fmt: skip
        if FIRST and k == 0:
            a = _owned(levels[0], lane, HALO, T, R)
            total = tl.where(column == 2 * K + WIDTH - 1, _inner(gy, a, C, T, R, dtype), total)
            g = _filter_add(g, gy, weights_at(parameters, 2 * K + WIDTH - 1, 1, C, T), 1, lane, 1, T, R)

    for i in tl.static_range(K):
        total = tl.where(column == K - 1 - i, tl.sum(sums_lo[i], 1, keep_dims=True), total)
        total = tl.where(column == 2 * K - 1 - i, tl.sum(sums_hi[i], 1, keep_dims=True), total)
    row = ((b * TILES + window) * phases + phase) * channels + channel
    kept = (limit > 0)[:, None] & (column < 2 * K + WIDTH)
    tl.store(sums + row[:, None] * (2 * K + WIDTH) + column, total, mask=kept)
    write(grad_in, g, out_base, phases, out_l, first, first + HALO, tl.minimum(limit, first + HALO + STEP), C, T, R)
