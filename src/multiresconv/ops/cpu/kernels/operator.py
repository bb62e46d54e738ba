"""Numba kernels of the operator: one row (a channel of a batch element) at a time, all scales while it is in cache.

Notation as in `multires_conv`: a_j are scaling and b_j wavelet coefficients. Taps are *newest first* here: `lo[i]`
multiplies `a[n - i*d]`. The loops over time take tuples of at most four taps. A tuple's length is part of its type, so
the compiler unrolls the loop over taps, keeps taps and sums in registers and vectorises over time. `first` and `group`
are tuples of zeros that set these lengths: `first` for the first pass over a row, `group` for the passes that add the
remaining taps. `group` is None if no taps remain and every m_j = 1; most of the code is then never compiled.

If m_j = 1, w_{j,0} is folded into the high-pass taps and b_j is never stored. Indices are unsigned because Numba checks
signed ones for negative values, which prevents vectorisation. `fastmath` keeps infinities and NaNs intact.
"""

# Numba's intrinsics are called with one argument less than type checkers see in their definition.
# pyright: reportCallIssue=false

import numpy as np
from numba import uintp
from numba.cpython.unsafe.tuple import tuple_setitem

from multiresconv.ops.cpu.kernels.elementary import narrow, widen
from multiresconv.ops.cpu.kernels.jit import inline, kernel

# Taps per pass over a row. With more, the sums of backward would not fit in registers.
GROUP = 4

# Channels that are transposed together if time is not the contiguous axis: a cache line of float32.
BLOCK = 16


@inline
def _dilation(scale, joined):
    """Return joined * 2^(scale-1), capped beyond the length of any row, so that no product overflows."""
    return joined << min(scale - 1, 40)


@inline
def take(pattern, taps, t):
    """Return taps[t : t + len(pattern)] as a tuple."""
    out = pattern
    for i in range(len(pattern)):
        out = tuple_setitem(out, i, taps[t + i])
    return out


@inline
def _scaled(taps, factor):
    out = taps
    for i in range(len(taps)):
        out = tuple_setitem(out, i, taps[i] * factor)
    return out


@inline
def _filter(out, a, lo, dilation):
    """out[n] = sum_i lo[i] a[n - i*d]."""
    length, d = uintp(len(a)), uintp(dilation)
    for s in range(len(lo)):  # section s: the steps at which s+1 taps lie within the row
        start = uintp(s) * d
        stop = length if s == len(lo) - 1 else min(start + d, length)
        for n in range(start, stop):
            p = lo[0] * a[n]
            for i in range(1, s + 1):
                p += lo[i] * a[n - uintp(i) * d]
            out[n] = p


@inline
def _filter_add(out, a, lo, dilation):
    """out[n] += sum_i lo[i] a[n - i*d]."""
    length, d = uintp(len(a)), uintp(dilation)
    for s in range(len(lo)):
        start = uintp(s) * d
        stop = length if s == len(lo) - 1 else min(start + d, length)
        for n in range(start, stop):
            p = out[n]
            for i in range(s + 1):
                p += lo[i] * a[n - uintp(i) * d]
            out[n] = p


@inline
def _filter_pair(out, y, a, lo, hi, dilation):
    """out[n] = sum_i lo[i] a[n - i*d] and y[n] += sum_i hi[i] a[n - i*d] in one pass over `a`."""
    length, d = uintp(len(a)), uintp(dilation)
    for s in range(len(lo)):
        start = uintp(s) * d
        stop = length if s == len(lo) - 1 else min(start + d, length)
        for n in range(start, stop):
            p = lo[0] * a[n]
            q = hi[0] * a[n]
            for i in range(1, s + 1):
                p += lo[i] * a[n - uintp(i) * d]
                q += hi[i] * a[n - uintp(i) * d]
            out[n] = p
            y[n] += q


@inline
def _filter_add_backward(grad_in, grad_out, a, lo, sums, dilation):
    """Adjoint of `_filter_add`: grad_in[n] += sum_i lo[i] grad_out[n + i*d].

    Returns the gradients of the taps added to `sums`: sums[i] + sum_n grad_out[n + i*d] a[n].
    """
    length, d = uintp(len(a)), uintp(dilation)
    for s in range(len(lo)):  # section s from the end: the steps at which s+1 taps lie within the row
        stop = max(length, uintp(s) * d) - uintp(s) * d
        start = uintp(0) if s == len(lo) - 1 else max(stop, d) - d
        for n in range(start, stop):
            p = grad_in[n]
            for i in range(s + 1):
                g = grad_out[n + uintp(i) * d]
                p += lo[i] * g
                sums = tuple_setitem(sums, i, sums[i] + g * a[n])
            grad_in[n] = p
    return sums


@inline
def _filter_pair_backward(grad_in, grad_out, grad_y, a, lo, hi, sums, sums_hi, dilation):
    """Adjoint of `_filter_pair` for both outputs: overwrites grad_in and returns the gradients of lo and hi."""
    length, d = uintp(len(a)), uintp(dilation)
    for s in range(len(lo)):
        stop = max(length, uintp(s) * d) - uintp(s) * d
        start = uintp(0) if s == len(lo) - 1 else max(stop, d) - d
        for n in range(start, stop):
            p = a.dtype.type(0)
            for i in range(s + 1):
                g = grad_out[n + uintp(i) * d]
                h = grad_y[n + uintp(i) * d]
                p += lo[i] * g + hi[i] * h
                sums = tuple_setitem(sums, i, sums[i] + g * a[n])
                sums_hi = tuple_setitem(sums_hi, i, sums_hi[i] + h * a[n])
            grad_in[n] = p
    return sums, sums_hi


@inline
def _add_shifted(pattern, out, a, taps, t, dilation):
    """`_filter_add` with the taps t..t + len(pattern) - 1."""
    lag = min(t * dilation, len(a))
    _filter_add(out[lag:], a[: len(a) - lag], take(pattern, taps, t), dilation)


@inline
def _add_taps(group, out, a, taps, start, dilation):
    """out[n] += sum_{t >= start} taps[t] a[n - t*d]."""
    grouped = start + (len(taps) - start) // len(group) * len(group)
    for t in range(start, grouped, len(group)):
        _add_shifted(group, out, a, taps, t, dilation)
    for t in range(grouped, len(taps)):
        _add_shifted(group[:1], out, a, taps, t, dilation)


@inline
def _add_shifted_backward(pattern, grad_in, grad_out, a, taps, grad_taps, t, dilation):
    lag = min(t * dilation, len(a))
    rest = len(a) - lag
    sums = _filter_add_backward(grad_in[:rest], grad_out[lag:], a[:rest], take(pattern, taps, t), pattern, dilation)
    for i in range(len(pattern)):
        grad_taps[t + i] += sums[i]


@inline
def _add_taps_backward(group, grad_in, grad_out, a, taps, grad_taps, start, dilation):
    """Adjoint of `_add_taps`: adds to grad_in and grad_taps."""
    grouped = start + (len(taps) - start) // len(group) * len(group)
    for t in range(start, grouped, len(group)):
        _add_shifted_backward(group, grad_in, grad_out, a, taps, grad_taps, t, dilation)
    for t in range(grouped, len(taps)):
        _add_shifted_backward(group[:1], grad_in, grad_out, a, taps, grad_taps, t, dilation)


@inline
def _filter_taps(first, group, out, a, taps, dilation):
    """out[n] = sum_t taps[t] a[n - t*d] for any number of taps."""
    _filter(out, a, take(first, taps, 0), dilation)
    if group is not None:
        _add_taps(group, out, a, taps, len(first), dilation)


@inline
def forward_row(first, group, x, y, lo, hi, w, memory, a, b, joined=1):
    """Apply the operator to one row, x -> y, both (L,). With `joined` > 1 it holds that many rows, interleaved by step.

    a (n, L), n >= 2, receives the scaling coefficients of the last n scales, a_j in row (j-1) mod n. b (L,) is scratch.
    """
    depth, stop = len(memory), len(w) - 1
    for n in range(uintp(len(x))):
        y[n] = w[stop] * x[n]
    source = x
    for j in range(1, depth + 1):
        kept, dilation, a_next = memory[depth - j], _dilation(j, joined), a[(j - 1) % len(a)]
        weights = w[stop - kept : stop]
        if group is None or kept == 1:
            folded = _scaled(take(first, hi, 0), weights[0])
            _filter_pair(a_next, y, source, take(first, lo, 0), folded, dilation)
            if group is not None and len(lo) > len(first):
                _add_taps(group, a_next, source, lo, len(first), dilation)
                _add_taps(group, y, source, hi * weights[0], len(first), dilation)
        else:
            _filter_taps(first, group, a_next, source, lo, dilation)
            if kept > 1:
                _filter_taps(first, group, b, source, hi, dilation)
                _add_taps(group, y, b, weights, 0, 2 * dilation)
        stop -= kept
        source = a_next
    for n in range(uintp(len(x))):
        y[n] += w[0] * source[n]


@inline
def low_pass_row(first, group, x, lo, memory, a):
    """Write the scaling coefficients of all scales of a row x (L,) to a (J, L), or to the first L steps of a."""
    source = x
    for j in range(len(memory)):
        _filter_taps(first, group, a[j], source, lo, _dilation(j + 1, 1))
        source = a[j][: len(x)]


@inline
def backward_row(first, group, rows, lo, hi, w, memory, a, scratch, taps, grads, joined=1):
    """Compute the gradients of one row, or of rows `joined` as in `forward_row`.

    `rows` are x, grad_y (read) and grad_x (written), all (L,). `grads` (2K + len(w),) receives the gradients of lo, hi
    and w, in this order. a (J, L) holds the scaling coefficients; scratch (4, L) and taps (2, K) are scratch memory.
    grad_x may be x: it is written after x has been read for the last time.
    """
    grads[:] = 0
    add_backward_row(first, group, rows, lo, hi, w, memory, a, scratch, taps, grads, joined)


@inline
def add_backward_row(first, group, rows, lo, hi, w, memory, a, scratch, taps, grads, joined=1):
    """Compute `backward_row`, but add to `grads` instead of overwriting it."""
    x, grad_y, _ = rows
    coarsest, g, grad_w = a[len(memory) - 1], scratch[1], grads[2 * len(lo) :]
    sum_a, sum_x = x.dtype.type(0), x.dtype.type(0)
    for n in range(uintp(len(x))):
        sum_a += grad_y[n] * coarsest[n]
        sum_x += grad_y[n] * x[n]
        g[n] = w[0] * grad_y[n]
    grad_w[0] += sum_a
    grad_w[len(w) - 1] += sum_x
    descend(first, group, rows, lo, hi, w, memory, a, scratch, taps, grads, 0, len(x), joined)


@inline
def descend(first, group, rows, lo, hi, w, memory, a, scratch, taps, grads, lead, end, joined=1):
    """Backpropagate the gradient of a_J, in scratch[1], through all scales to x; add to `grads` as `add_backward_row`.

    x and a may begin `lead` steps before the gradients, and are zero from step `end` on. Only products with x and a
    between `lead` and `end` count in `grads`.
    """
    x, grad_y, grad_x = rows
    depth, length, width = len(memory), len(x) - lead, len(lo)
    b, g, g_next, grad_b = scratch[0], scratch[1], scratch[2], scratch[3]
    folded, sums_hi = taps[0], taps[1]
    grad_lo, grad_hi, grad_w = grads[:width], grads[width : 2 * width], grads[2 * width :]

    start = 1
    for j in range(depth, 0, -1):
        kept, dilation = memory[depth - j], _dilation(j, joined)
        whole = x if j == 1 else a[j - 2]
        source = whole[lead:]
        weights, grad_weights = w[start : start + kept], grad_w[start : start + kept]
        if group is not None and kept == 0:
            g_next[:] = 0
            _add_shifted_backward(first, g_next, g, source, lo, grad_lo, 0, dilation)
            _add_taps_backward(group, g_next, g, source, lo, grad_lo, len(first), dilation)
        else:
            # If one coefficient is kept, the gradient of b_j is grad_y, because its weight is in `folded`.
            into, factor = grad_y, weights[0]
            if group is not None and kept > 1:
                into, factor = grad_b, x.dtype.type(1)
                grad_b[:] = 0
                _filter_taps(first, group, b, whole[:end], hi, dilation)
                b[end:] = 0
                _add_taps_backward(group, grad_b, grad_y, b[lead:], weights, grad_weights, 0, 2 * dilation)
            for i in range(width):
                folded[i] = hi[i] * factor
                sums_hi[i] = 0
            sums, firsts = _filter_pair_backward(
                g_next, g, into, source, take(first, lo, 0), take(first, folded, 0), first, first, dilation
            )
            for i in range(len(first)):
                grad_lo[i] += sums[i]
                sums_hi[i] += firsts[i]
            if group is not None and width > len(first):
                _add_taps_backward(group, g_next, g, source, lo, grad_lo, len(first), dilation)
                _add_taps_backward(group, g_next, into, source, folded, sums_hi, len(first), dilation)
            for i in range(width):
                grad_hi[i] += factor * sums_hi[i]
                if kept == 1:
                    grad_weights[0] += hi[i] * sums_hi[i]
        start += kept
        g_next, g = g, g_next
    for n in range(uintp(length)):
        grad_x[n] = g[n] + w[len(w) - 1] * grad_y[n]


@kernel
def forward(first, group, x, y, lo, hi, w, memory, start, stop):
    """Compute y (B, D, L) from x (B, D, L) for rows start..stop."""
    channels, length = x.shape[1], x.shape[2]
    a, b = np.empty((2, length), x.dtype), np.empty(length, x.dtype)
    for row in range(start, stop):
        i, c = row // channels, row % channels
        forward_row(first, group, x[i, c], y[i, c], lo[c], hi[c], w[c], memory, a, b)


@kernel
def forward_channels_last(first, group, x, y, lo, hi, w, memory, start, stop):
    """Compute `forward` for x and y (B, L, D), blocks start..stop. A block is up to BLOCK channels of an element."""
    length, channels = x.shape[1], x.shape[2]
    blocks = (channels + BLOCK - 1) // BLOCK
    # rows a power of two apart would share the same few cache sets
    x_rows, y_rows = np.empty((BLOCK, length + 16), x.dtype), np.empty((BLOCK, length + 16), x.dtype)
    a, b = np.empty((2, length), x.dtype), np.empty(length, x.dtype)
    for block in range(start, stop):
        i, offset = block // blocks, (block % blocks) * BLOCK
        count = min(BLOCK, channels - offset)
        gather(x_rows, x[i], offset, count)
        for r in range(count):
            c = offset + r
            x_row, y_row = x_rows[r, :length], y_rows[r, :length]
            forward_row(first, group, x_row, y_row, lo[c], hi[c], w[c], memory, a, b)
        scatter(y[i], y_rows, offset, count, 0)


@kernel
def backward(first, group, x, grad_y, grad_x, lo, hi, w, memory, grads, start, stop):
    """Compute grad_x (B, D, L) and grads (B, D, 2K + width of w) from x and grad_y (B, D, L) for rows start..stop."""
    channels, length = x.shape[1], x.shape[2]
    a, scratch = np.empty((len(memory), length), x.dtype), np.empty((4, length), x.dtype)
    taps = np.empty((2, lo.shape[1]), x.dtype)
    for row in range(start, stop):
        i, c = row // channels, row % channels
        rows = x[i, c], grad_y[i, c], grad_x[i, c]
        low_pass_row(first, group, rows[0], lo[c], memory, a)
        backward_row(first, group, rows, lo[c], hi[c], w[c], memory, a, scratch, taps, grads[i, c])


@kernel
def backward_channels_last(first, group, x, grad_y, grad_x, lo, hi, w, memory, grads, start, stop):
    """Compute `backward` for x, grad_y and grad_x (B, L, D), blocks start..stop as in `forward_channels_last`."""
    length, channels = x.shape[1], x.shape[2]
    blocks = (channels + BLOCK - 1) // BLOCK
    x_rows, g_rows = np.empty((BLOCK, length + 16), x.dtype), np.empty((BLOCK, length + 16), x.dtype)
    a, scratch = np.empty((len(memory), length), x.dtype), np.empty((4, length), x.dtype)
    taps = np.empty((2, lo.shape[1]), x.dtype)
    for block in range(start, stop):
        i, offset = block // blocks, (block % blocks) * BLOCK
        count = min(BLOCK, channels - offset)
        gather(x_rows, x[i], offset, count)
        gather(g_rows, grad_y[i], offset, count)
        for r in range(count):
            c = offset + r
            rows = x_rows[r, :length], g_rows[r, :length], x_rows[r, :length]
            low_pass_row(first, group, rows[0], lo[c], memory, a)
            backward_row(first, group, rows, lo[c], hi[c], w[c], memory, a, scratch, taps, grads[i, c])
        scatter(grad_x[i], x_rows, offset, count, 0)


@inline
def gather(block, columns, first, count):
    """block[r, n] = columns[n, first + r], in tiles of fixed size that stay in registers and the nearest cache."""
    tiled = uintp(len(columns) // BLOCK * BLOCK if count == BLOCK else 0)
    for start in range(uintp(0), tiled, uintp(BLOCK)):
        for r in range(uintp(BLOCK)):
            for n in range(start, start + uintp(BLOCK)):
                block[r, n] = widen(columns[n, uintp(first) + r])
    for n in range(tiled, uintp(len(columns))):
        for r in range(uintp(count)):
            block[r, n] = widen(columns[n, uintp(first) + r])


@inline
def scatter(columns, block, first, count, skip):
    """columns[n, first + r] = block[r, skip + n], the inverse of `gather`."""
    tiled = uintp(len(columns) // BLOCK * BLOCK if count == BLOCK else 0)
    for start in range(uintp(0), tiled, uintp(BLOCK)):
        for n in range(start, start + uintp(BLOCK)):
            for r in range(uintp(BLOCK)):
                columns[n, uintp(first) + r] = narrow(columns, block[r, uintp(skip) + n])
    for n in range(tiled, uintp(len(columns))):
        for r in range(uintp(count)):
            columns[n, uintp(first) + r] = narrow(columns, block[r, uintp(skip) + n])


@inline
def scatter_add(columns, block, first, count):
    """columns[n, first + r] += block[r, n]."""
    tiled = uintp(len(columns) // BLOCK * BLOCK if count == BLOCK else 0)
    for start in range(uintp(0), tiled, uintp(BLOCK)):
        for n in range(start, start + uintp(BLOCK)):
            for r in range(uintp(BLOCK)):
                columns[n, uintp(first) + r] += block[r, n]
    for n in range(tiled, uintp(len(columns))):
        for r in range(uintp(count)):
            columns[n, uintp(first) + r] += block[r, n]
