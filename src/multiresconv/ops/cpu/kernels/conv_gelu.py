"""Numba kernels of a block before its linear map: the operator, GELU and channel dropout in one pass.

`block.py` defines sequences, packs, `elements`, `offsets` and `scale`. Backward recomputes what forward did not keep.
Short elements are interleaved step by step into one joined row, so that the operator's loops are long and its shifts
are whole vectors: a filter of dilation d on m elements is a filter of dilation m*d on the joined row.
"""

import numpy as np
from numba import uintp

from multiresconv.ops.cpu.kernels.block import most_steps
from multiresconv.ops.cpu.kernels.elementary import narrow, normal, widen
from multiresconv.ops.cpu.kernels.jit import inline, kernel
from multiresconv.ops.cpu.kernels.operator import BLOCK, backward_row, forward_row, gather, scatter

# Longest elements, in steps, that are joined.
SHORT = 128


@kernel
def conv_gelu(first, group, x, out, lo, hi, w, memory, scale, elements, offsets, start, stop):
    """out = scale * GELU(y) for units start..stop. A unit is one channel of up to `joined` elements.

    y is multires_conv(x). With 2D filters, the last D are applied to each element read from its end; their output is
    flipped back and added to y.
    """
    channels, longest, joined = x.shape[1], most_steps(offsets), _joined(offsets)
    x_memory, y_memory = np.empty(joined * longest, x.dtype), np.empty(joined * longest, x.dtype)
    a_memory, b = np.empty(2 * joined * longest, x.dtype), np.empty(joined * longest, x.dtype)
    y, block = _rows(joined, longest, x), _rows(joined, longest, x)
    for unit in range(start, stop):
        k, c, count, length, total = _group(unit, channels, joined, offsets)
        group_elements, group_offsets = elements[k : k + count], offsets[k : k + count + 1]
        a = a_memory[: 2 * total].reshape(2, total)
        for row in range(c, len(lo), channels):
            x_row = _joined_rows(x_memory, block, x, c, group_elements, group_offsets, length, row > c)
            filters = lo[row], hi[row], w[row], memory
            _forward(first, group, x_row, y, y_memory, block, filters, a, b, group_offsets, row > c)
        for e in range(count):
            y_row, values = y[e], out[c][group_offsets[e] : group_offsets[e + 1]]
            factor = scale[group_elements[e], c]
            for n in range(uintp(len(values))):
                values[n] = narrow(values, factor * y_row[n] * normal(y_row[n])[0])


@kernel
def conv_gelu_backward(first, group, x, grad, grad_x, lo, hi, w, memory, scale, grads, elements, offsets, start, stop):
    """Adjoint of `conv_gelu`: the gradient of x is *added* to grad_x.

    grads (B, filters, 2K + width of w) receives the gradients of lo, hi and w; those of joined elements go to the row
    of the first element.
    """
    channels, longest, joined, scales = x.shape[1], most_steps(offsets), _joined(offsets), max(len(memory), 2)
    directions = len(lo) // channels
    x_memory = np.empty((directions, joined * longest), x.dtype)
    a_memory = np.empty((directions, scales * joined * longest), x.dtype)
    scratch_memory, taps = np.empty(6 * joined * longest, x.dtype), np.empty((2, lo.shape[1]), x.dtype)
    y, block = _rows(joined, longest, x), _rows(joined, longest, x)
    for unit in range(start, stop):
        k, c, count, length, total = _group(unit, channels, joined, offsets)
        group_elements, group_offsets = elements[k : k + count], offsets[k : k + count + 1]
        scratch = scratch_memory[: 6 * total].reshape(6, total)
        for d in range(directions):
            row, a = d * channels + c, a_memory[d][: scales * total].reshape(scales, total)
            x_row = _joined_rows(x_memory[d], block, x, c, group_elements, group_offsets, length, d > 0)
            filters = lo[row], hi[row], w[row], memory
            _forward(first, group, x_row, y, scratch[4], block, filters, a, scratch[0], group_offsets, d > 0)
        for e in range(count):
            g, y_row, factor = grad[c][group_offsets[e] : group_offsets[e + 1]], y[e], scale[group_elements[e], c]
            for n in range(uintp(len(g))):
                cdf, density = normal(y_row[n])
                y_row[n] = factor * widen(g[n]) * (cdf + y_row[n] * density)
            y_row[len(g) : length] = 0
        for d in range(directions):
            row, a = d * channels + c, a_memory[d][: scales * total].reshape(scales, total)
            x_row = x[group_elements[0], c][:length] if count == 1 and d == 0 else x_memory[d][:total]
            grad_rows, added = y, scratch[5]
            if d > 0:
                grad_rows = block
                for e in range(count):
                    steps = group_offsets[e + 1] - group_offsets[e]
                    block[e][:length] = 0
                    _add_turned(block[e][:steps], y[e][:steps])
            grad_y = grad_rows[0][:length]
            if count > 1:
                grad_y = scratch[4]
                scatter(grad_y.reshape(length, count), grad_rows, 0, count, 0)
            rows, sums = (x_row, grad_y, added), grads[group_elements[0], row]
            backward_row(first, group, rows, lo[row], hi[row], w[row], memory, a, scratch[:4], taps, sums, count)
            if count > 1:
                gather(block, added.reshape(length, count), 0, count)
            for e in range(count):
                part, steps = block[e] if count > 1 else added, group_offsets[e + 1] - group_offsets[e]
                to = grad_x[group_elements[e], c][:steps]
                if d > 0:
                    _add_turned(to, part[:steps])
                else:
                    for n in range(uintp(steps)):
                        to[n] += part[n]


@inline
def _rows(joined, longest, like):
    """Allocate one row per joined element; rows a power of two apart would share the same few cache sets."""
    return np.empty((joined, longest + 16), like.dtype)


@inline
def _forward(first, group, x_row, y, y_memory, block, filters, a, b, offsets, backwards):
    """Convolve the joined x_row and write the result to y, one row per element; if `backwards`, add it flipped."""
    lo, hi, w, memory = filters
    count, length, rows = len(offsets) - 1, len(x_row) // (len(offsets) - 1), block if backwards else y
    y_row = rows[0][:length] if count == 1 else y_memory[: len(x_row)]
    forward_row(first, group, x_row, y_row, lo, hi, w, memory, a, b[: len(x_row)], count)
    if count > 1:
        gather(rows, y_row.reshape(length, count), 0, count)
    if backwards:
        for e in range(count):
            steps = offsets[e + 1] - offsets[e]
            _add_turned(y[e][:steps], block[e][:steps])


@inline
def _add_turned(out, row):
    """out[n] += row[-1 - n]."""
    last = uintp(len(row) - 1)
    for n in range(uintp(len(row))):
        out[n] += row[last - n]


@inline
def _joined(offsets):
    """Return how many elements of a pack are joined: short ones do not fill a vector by themselves."""
    return BLOCK if most_steps(offsets) <= SHORT else 1


@inline
def _group(unit, channels, joined, offsets):
    """Return a unit's first element in the pack, channel, element count, longest length and size of the joined row."""
    k, c = unit // channels * joined, unit % channels
    count = min(joined, len(offsets) - 1 - k)
    length = most_steps(offsets[k : k + count + 1])
    return k, c, count, length, count * length


@inline
def _joined_rows(joined, block, x, c, elements, offsets, length, backwards):
    """Return channel c of these elements, zero-padded and interleaved: step n of element e at n * len(elements) + e.

    If `backwards`, each element is flipped before padding.
    """
    count = len(elements)
    if count == 1 and not backwards:
        return x[elements[0], c][:length]
    for e in range(count):
        row, values = block[e] if count > 1 else joined, x[elements[e], c][: offsets[e + 1] - offsets[e]]
        row[:length] = 0
        if backwards:
            _add_turned(row[: len(values)], values)
        else:
            for n in range(uintp(len(values))):
                row[n] = values[n]
    if count > 1:
        scatter(joined[: count * length].reshape(length, count), block, 0, count, 0)
    return joined[: count * length]
