"""Numba kernels of a block around its linear maps: each passes over memory once for what PyTorch does in many passes.

`conv_gelu`: the operator, GELU and channels' dropout, block's input -> linear map's input. `residual`: GLU, dropout,
residual sum and, where wanted, layer norm, linear map's output and block's input -> block's output. Where a projection
is between the two, `gated` is GLU and dropout by itself, linear map's output -> projection's input, and `residual`, its
scale being None, takes the projection's output as it is. Backward computes again what forward did not keep.

What enters and leaves the block is (B, D, L), what is next to the linear map a pack, (D, steps): of its elements, k has
the columns offsets[k]..offsets[k + 1] and is elements[k] of the batch. All are contiguous: every loop runs along time.
A pack may be bfloat16, seen as uint16. Beyond an element's steps, what leaves the block is 0. `scale` (B, D) is what
dropout multiplies the channels with; `m` (2D, steps), or (D, steps) from a projection, comes without the bias, which is
added here.
"""

import numpy as np
from numba import uintp

from multiresconv.ops.cpu_kernels import BLOCK, _inline, _kernel, backward_row, forward_row, gather, scatter
from multiresconv.ops.elementary_kernels import narrow, normal, sigmoid, widen

# Steps that a layer norm works on together: all channels of them stay in the nearest caches.
STEPS = 128

# Steps up to which elements are joined for the operator.
SHORT = 128


@_kernel
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


@_kernel
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


@_inline
def _joined(offsets):
    """How many elements of a pack the operator takes side by side: short ones fill no vector by themselves."""
    return BLOCK if _longest(offsets) <= SHORT else 1


@_inline
def _group(unit, channels, joined, offsets):
    """First element in the pack, channel, number of elements, longest of them, and numbers in all."""
    k, c = unit // channels * joined, unit % channels
    count = min(joined, len(offsets) - 1 - k)
    length = _longest(offsets[k : k + count + 1])
    return k, c, count, length, count * length


@_inline
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


@_kernel
def gated(m, m_bias, out, scale, elements, offsets, start, stop):
    """out = scale * GLU(m + m_bias) for rows start..stop, both packs."""
    channels = scale.shape[1]
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        gate, end = channels + c, begin + length
        values, gates, row_out = m[c][begin:end], m[gate][begin:end], out[c][begin:end]
        for n in range(uintp(length)):
            row_out[n] = narrow(row_out, scale[i, c] * _glu(values[n], gates[n], m_bias[c], m_bias[gate]))


@_kernel
def gated_backward(m, m_bias, grad, grad_m, scale, grads, elements, offsets, start, stop):
    """The adjoint of `gated`; grads (B, 2D) are those of m_bias."""
    channels = scale.shape[1]
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        end = begin + length
        _gated_backward(grad_m, m, m_bias, grad[c][begin:end], scale[i, c], grads[i], c, begin, end)


@_kernel
def residual(m, m_bias, x, out, scale, elements, offsets, start, stop):
    """out = x + scale * GLU(m + m_bias), or x + m + m_bias where scale is None, for rows start..stop."""
    channels = x.shape[1]
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        _residual(out[i, c], m, m_bias, x[i, c], scale, i, c, begin, 0, length)
        out[i, c][length:] = 0


@_kernel
def residual_backward(m, m_bias, grad, grad_m, grad_x, scale, grads, elements, offsets, start, stop):
    """The adjoint of `residual`; grads (B, 2D) are those of m_bias."""
    channels = grad.shape[1]
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        g = grad[i, c][:length]
        for n in range(uintp(length)):
            grad_x[i, c, n] = g[n]
        grad_x[i, c][length:] = 0
        _residual_backward(grad_m, m, m_bias, g, scale, grads[i], i, c, begin, begin + length)


@_kernel
def residual_norm(m, m_bias, x, out, scale, weight, bias, eps, elements, offsets, start, stop):
    """out = layer norm of what `residual` gives, for units start..stop, a unit being STEPS steps of an element.

    Every element has as many units as the longest.
    """
    channels = x.shape[1]
    z, mean, factor = np.empty((channels, STEPS), x.dtype), np.empty(STEPS, x.dtype), np.empty(STEPS, x.dtype)
    units = _units(_longest(offsets))
    for unit in range(start, stop):
        i, at, length, begin, end = _unit(unit, units, elements, offsets)
        if begin >= end:
            continue
        _residuals(z, m, m_bias, x[i], scale, i, at, begin, end)
        _standardise(z, eps, mean, factor, end - begin)
        for c in range(channels):
            row, z_row = out[i, c][begin:end], z[c]
            for n in range(uintp(len(row))):
                row[n] = z_row[n] * factor[n] * weight[c] + bias[c]
            if end == length:
                out[i, c][length:] = 0


@_kernel
def residual_norm_backward(
    m, m_bias, x, grad, grad_m, grad_x, scale, weight, eps, grads, elements, offsets, start, stop
):
    """The adjoint of `residual_norm`; grads (B, units of an element, 4D) are those of m_bias, weight and bias."""
    channels = x.shape[1]
    z, mean, factor = np.empty((channels, STEPS), x.dtype), np.empty(STEPS, x.dtype), np.empty(STEPS, x.dtype)
    along_one, along_z = np.empty(STEPS, x.dtype), np.empty(STEPS, x.dtype)
    per_channel = x.dtype.type(1) / x.dtype.type(channels)
    units = _units(_longest(offsets))
    for unit in range(start, stop):
        i, at, length, begin, end = _unit(unit, units, elements, offsets)
        if begin >= end:
            continue
        sums = grads[i, begin // STEPS]
        _residuals(z, m, m_bias, x[i], scale, i, at, begin, end)
        _standardise(z, eps, mean, factor, end - begin)
        along_one[:] = 0
        along_z[:] = 0
        for c in range(channels):
            g, z_row = grad[i, c][begin:end], z[c]
            for_weight, for_bias = x.dtype.type(0), x.dtype.type(0)
            for n in range(uintp(len(g))):
                standard = z_row[n] * factor[n]
                for_weight += g[n] * standard
                for_bias += g[n]
                z_row[n] = standard
            for n in range(uintp(len(g))):
                along_one[n] += g[n] * weight[c]
            for n in range(uintp(len(g))):
                along_z[n] += g[n] * weight[c] * z_row[n]
            sums[2 * channels + c], sums[3 * channels + c] = for_weight, for_bias
        for n in range(uintp(STEPS)):
            along_one[n] *= per_channel
            along_z[n] *= per_channel
        for c in range(channels):
            g, out, z_row = grad[i, c][begin:end], grad_x[i, c][begin:end], z[c]
            for n in range(uintp(len(g))):
                out[n] = factor[n] * (g[n] * weight[c] - along_one[n] - z_row[n] * along_z[n])
            _residual_backward(grad_m, m, m_bias, out, scale, sums, i, c, at + begin, at + end)
            if end == length:
                grad_x[i, c][length:] = 0


@_inline
def _longest(offsets):
    """Steps of the longest element."""
    longest = offsets[1] - offsets[0]
    for k in range(1, len(offsets) - 1):
        longest = max(longest, offsets[k + 1] - offsets[k])
    return longest


@_inline
def _row(row, channels, elements, offsets):
    """Element, channel, first column in the pack and number of steps of a row."""
    k = row // channels
    return elements[k], row % channels, offsets[k], offsets[k + 1] - offsets[k]


@_inline
def _units(length):
    return (length + STEPS - 1) // STEPS


@_inline
def _unit(unit, units, elements, offsets):
    """Element, its first column in the pack, its number of steps, and which of them are the unit."""
    k, begin = unit // units, (unit % units) * STEPS
    length = offsets[k + 1] - offsets[k]
    return elements[k], offsets[k], length, begin, min(begin + STEPS, length)


@_inline
def _glu(value, gate, value_bias, gate_bias):
    return (widen(value) + value_bias) * sigmoid(widen(gate) + gate_bias)


@_inline
def _residual(z, m, m_bias, x, scale, i, c, at, begin, end):
    """z[: end - begin] = the steps begin..end of channel c of an element whose pack begins at `at`, x its row."""
    values, row = m[c][at + begin : at + end], x[begin:end]
    if scale is None:
        for n in range(uintp(len(row))):
            z[n] = row[n] + (widen(values[n]) + m_bias[c])
    else:
        gate, factor = len(m_bias) // 2 + c, scale[i, c]
        gates = m[gate][at + begin : at + end]
        for n in range(uintp(len(row))):
            z[n] = row[n] + factor * _glu(values[n], gates[n], m_bias[c], m_bias[gate])


@_inline
def _residuals(z, m, m_bias, x, scale, i, at, begin, end):
    """`_residual` for every channel; z (D, STEPS)."""
    for c in range(len(x)):
        _residual(z[c], m, m_bias, x[c], scale, i, c, at, begin, end)


@_inline
def _residual_backward(grad_m, m, m_bias, grad, scale, sums, i, c, begin, end):
    """The adjoint of `_residual`: grad -> the columns begin..end of grad_m, and sums of the biases."""
    if scale is None:
        to_value, total = grad_m[c][begin:end], grad.dtype.type(0)
        for n in range(uintp(len(grad))):
            to_value[n] = narrow(to_value, grad[n])
            total += grad[n]
        sums[c] = total
    else:
        _gated_backward(grad_m, m, m_bias, grad, scale[i, c], sums, c, begin, end)


@_inline
def _gated_backward(grad_m, m, m_bias, grad, scale, sums, c, begin, end):
    """The adjoint of scale * GLU of channel c: grad -> the columns begin..end of grad_m, and sums of the biases."""
    gate, zero = len(m_bias) // 2 + c, m_bias.dtype.type(0)
    value_bias, gate_bias, for_value, for_gate = m_bias[c], m_bias[gate], zero, zero
    to_value, to_gate = grad_m[c][begin:end], grad_m[gate][begin:end]
    values, gates = m[c][begin:end], m[gate][begin:end]
    for n in range(uintp(len(grad))):
        opened = sigmoid(widen(gates[n]) + gate_bias)
        g = scale * widen(grad[n]) * opened
        h = g * (widen(values[n]) + value_bias)
        h -= h * opened
        to_value[n], to_gate[n] = narrow(to_value, g), narrow(to_gate, h)
        for_value += g
        for_gate += h
    sums[c], sums[gate] = for_value, for_gate


@_inline
def _standardise(z, eps, mean, factor, steps):
    """z (D, STEPS) minus its mean over D, in place, and the reciprocals of its standard deviations -> factor."""
    channels, steps = len(z), uintp(steps)
    per_channel = z.dtype.type(1) / z.dtype.type(channels)
    mean[:] = 0
    factor[:] = 0
    for c in range(channels):
        row = z[c]
        for n in range(steps):
            mean[n] += row[n]
    for n in range(steps):
        mean[n] *= per_channel
    for c in range(channels):
        row = z[c]
        for n in range(steps):
            row[n] -= mean[n]
            factor[n] += row[n] * row[n]
    for n in range(steps):
        factor[n] = z.dtype.type(1) / np.sqrt(factor[n] * per_channel + eps)
