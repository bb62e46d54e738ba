"""Numba kernels of a block before its linear map: the operator, GELU and the channels' dropout in one pass.

Sequences, packs, `elements`, `offsets` and `scale` as in `block_kernels`. Backward computes again what forward did not
keep. Short elements are joined, step by step side by side, so that the operator's loops are long and its shifts whole
vectors: with m of them, a filter of dilation d is one of dilation m*d on the joined row.
"""

import numpy as np
from numba import uintp

from multiresconv.ops.cpu.kernels.block import _longest
from multiresconv.ops.cpu.kernels.elementary import narrow, normal, widen
from multiresconv.ops.cpu.kernels.jit import inline, kernel
from multiresconv.ops.cpu.kernels.operator import BLOCK, backward_row, forward_row, gather, scatter

# Steps up to which elements are joined.
SHORT = 128


@kernel
def conv_gelu(first, group, x, out, lo, hi, w, memory, scale, elements, offsets, start, stop):
    """out = scale * GELU(multires_conv(x)) for units start..stop, a unit being a channel of `joined` elements."""
    channels, longest, joined = x.shape[1], _longest(offsets), _joined(offsets)
    x_memory, y_memory = np.empty(joined * longest, x.dtype), np.empty(joined * longest, x.dtype)
    a_memory, b = np.empty(2 * joined * longest, x.dtype), np.empty(joined * longest, x.dtype)
    block = np.empty((joined, longest + 16), x.dtype)
    for unit in range(start, stop):
        k, c, count, length, total = _group(unit, channels, joined, offsets)
        a, y = a_memory[: 2 * total].reshape(2, total), y_memory[:total]
        x_row = _joined_rows(x_memory, block, x, c, elements[k : k + count], offsets[k:], length)
        forward_row(first, group, x_row, y, lo[c], hi[c], w[c], memory, a, b[:total], count)
        if count > 1:
            gather(block, y.reshape(length, count), 0, count)
        for e in range(count):
            y_row, values = block[e] if count > 1 else y, out[c][offsets[k + e] : offsets[k + e + 1]]
            factor = scale[elements[k + e], c]
            for n in range(uintp(len(values))):
                values[n] = narrow(values, factor * y_row[n] * normal(y_row[n])[0])


@kernel
def conv_gelu_backward(first, group, x, grad, grad_x, lo, hi, w, memory, scale, grads, elements, offsets, start, stop):
    """The adjoint of `conv_gelu`: grad is *added* to grad_x; grads (B, D, 2K + width of w) are those of lo, hi, w.

    Those of joined elements are the first one's.
    """
    channels, longest, joined, scales = x.shape[1], _longest(offsets), _joined(offsets), max(len(memory), 2)
    x_memory, a_memory = np.empty(joined * longest, x.dtype), np.empty(scales * joined * longest, x.dtype)
    scratch_memory, taps = np.empty(7 * joined * longest, x.dtype), np.empty((2, lo.shape[1]), x.dtype)
    block = np.empty((joined, longest + 16), x.dtype)
    for unit in range(start, stop):
        k, c, count, length, total = _group(unit, channels, joined, offsets)
        a, scratch = a_memory[: scales * total].reshape(scales, total), scratch_memory[: 7 * total].reshape(7, total)
        y, grad_y, added = scratch[4], scratch[5], scratch[6]
        x_row = _joined_rows(x_memory, block, x, c, elements[k : k + count], offsets[k:], length)
        forward_row(first, group, x_row, y, lo[c], hi[c], w[c], memory, a, scratch[0], count)
        for e in range(count):
            g, row, factor = grad[c][offsets[k + e] : offsets[k + e + 1]], block[e], scale[elements[k + e], c]
            for n in range(uintp(len(g))):
                row[n] = factor * widen(g[n])
            row[len(g) : length] = 0
        if count > 1:
            scatter(grad_y.reshape(length, count), block, 0, count, 0)
        g = grad_y if count > 1 else block[0]
        for n in range(uintp(total)):
            cdf, density = normal(y[n])
            grad_y[n] = g[n] * (cdf + y[n] * density)
        rows, sums = (x_row, grad_y, added), grads[elements[k], c]
        backward_row(first, group, rows, lo[c], hi[c], w[c], memory, a, scratch[:4], taps, sums, count)
        if count > 1:
            gather(block, added.reshape(length, count), 0, count)
        for e in range(count):
            row, steps = block[e] if count > 1 else added, offsets[k + e + 1] - offsets[k + e]
            to = grad_x[elements[k + e], c][:steps]
            for n in range(uintp(steps)):
                to[n] += row[n]


@inline
def _joined(offsets):
    """How many elements of a pack the operator takes side by side: short ones fill no vector by themselves."""
    return BLOCK if _longest(offsets) <= SHORT else 1


@inline
def _group(unit, channels, joined, offsets):
    """First element in the pack, channel, number of elements, longest of them, and numbers in all."""
    k, c = unit // channels * joined, unit % channels
    count = min(joined, len(offsets) - 1 - k)
    length = _longest(offsets[k : k + count + 1])
    return k, c, count, length, count * length


@inline
def _joined_rows(joined, block, x, c, elements, offsets, length):
    """Channel c of these elements, ended with zeros, side by side: step n of the e-th at n * len(elements) + e."""
    count = len(elements)
    if count == 1:
        return x[elements[0], c][:length]
    for e in range(count):
        row, values = block[e], x[elements[e], c][: offsets[e + 1] - offsets[e]]
        for n in range(uintp(len(values))):
            row[n] = values[n]
        row[len(values) : length] = 0
    scatter(joined[: count * length].reshape(length, count), block, 0, count, 0)
    return joined[: count * length]
