"""Numba kernels of a block around its linear map: each passes once over memory for what PyTorch does in many passes.

`conv_gelu`: the operator, GELU and the channels' dropout, block's input -> linear map's input; `glu_residual`: GLU,
dropout, residual sum and, where wanted, layer norm, linear map's output and block's input -> block's output. Backward
computes again what forward did not keep.

What enters and leaves the block is (B, D, L), what is next to the linear map a pack, (D, steps): of its elements, k has
the columns offsets[k]..offsets[k + 1] and is elements[k] of the batch. All are contiguous: every loop runs along time.
A pack may be bfloat16, seen as uint16. Beyond an element's steps, what leaves the block is 0. `scale` (B, D) is what
dropout multiplies the channels with; `m` (2D, steps) comes without the linear map's bias, which is added here.
"""

import numpy as np
from numba import uintp

from multiresconv.ops.cpu_kernels import _inline, _kernel, backward_row, forward_row
from multiresconv.ops.elementary_kernels import narrow, normal, sigmoid, widen

# Steps that a layer norm works on together: all channels of them stay in the nearest caches.
STEPS = 128


@_kernel
def conv_gelu(first, group, x, out, lo, hi, w, memory, scale, elements, offsets, start, stop):
    """out = scale * GELU(multires_conv(x)) for rows start..stop, a row being a channel of an element."""
    channels, longest = x.shape[1], _longest(offsets)
    memory_of_a, memory_of_rows = np.empty(2 * longest, x.dtype), np.empty(2 * longest, x.dtype)
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        a = memory_of_a[: 2 * length].reshape(2, length)
        rows = memory_of_rows[: 2 * length].reshape(2, length)
        y, values = rows[0], out[c][begin : begin + length]
        forward_row(first, group, x[i, c][:length], y, lo[c], hi[c], w[c], memory, a, rows[1])
        for n in range(uintp(length)):
            values[n] = narrow(values, scale[i, c] * y[n] * normal(y[n])[0])


@_kernel
def conv_gelu_backward(first, group, x, grad, grad_x, lo, hi, w, memory, scale, grads, elements, offsets, start, stop):
    """The adjoint of `conv_gelu`: grad is *added* to grad_x; grads (B, D, 2K + width of w) are those of lo, hi, w."""
    channels, longest, scales = x.shape[1], _longest(offsets), max(len(memory), 2)
    memory_of_a, memory_of_rows = np.empty(scales * longest, x.dtype), np.empty(7 * longest, x.dtype)
    taps = np.empty((2, lo.shape[1]), x.dtype)
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        a = memory_of_a[: scales * length].reshape(scales, length)
        scratch = memory_of_rows[: 7 * length].reshape(7, length)
        y, grad_y, added, g = scratch[4], scratch[5], scratch[6], grad[c][begin : begin + length]
        forward_row(first, group, x[i, c][:length], y, lo[c], hi[c], w[c], memory, a, scratch[0])
        for n in range(uintp(length)):
            cdf, density = normal(y[n])
            grad_y[n] = scale[i, c] * widen(g[n]) * (cdf + y[n] * density)
        rows = x[i, c][:length], grad_y, added
        backward_row(first, group, rows, lo[c], hi[c], w[c], memory, a, scratch[:4], taps, grads[i, c])
        for n in range(uintp(length)):
            grad_x[i, c, n] += added[n]


@_kernel
def glu_residual(m, m_bias, x, out, scale, elements, offsets, start, stop):
    """out = x + scale * GLU(m + m_bias) for rows start..stop."""
    channels = x.shape[1]
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        gate, end, values = channels + c, begin + length, x[i, c][:length]
        _residual(out[i, c], m[c][begin:end], m[gate][begin:end], m_bias[c], m_bias[gate], values, scale[i, c])
        out[i, c][length:] = 0


@_kernel
def glu_residual_backward(m, m_bias, grad, grad_m, grad_x, scale, grads, elements, offsets, start, stop):
    """The adjoint of `glu_residual`; grads (B, 2D) are those of m_bias."""
    channels = grad.shape[1]
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        gate, end, g = channels + c, begin + length, grad[i, c][:length]
        for n in range(uintp(length)):
            grad_x[i, c, n] = g[n]
        grad_x[i, c][length:] = 0
        grads[i, c], grads[i, gate] = _residual_backward(
            grad_m[c][begin:end],
            grad_m[gate][begin:end],
            m[c][begin:end],
            m[gate][begin:end],
            m_bias[c],
            m_bias[gate],
            g,
            scale[i, c],
        )


@_kernel
def glu_residual_norm(m, m_bias, x, out, scale, weight, bias, eps, elements, offsets, start, stop):
    """out = layer norm of x + scale * GLU(m + m_bias) for units start..stop, a unit being STEPS steps of an element.

    Every element has as many units as the longest.
    """
    channels = x.shape[1]
    z, mean, factor = np.empty((channels, STEPS), x.dtype), np.empty(STEPS, x.dtype), np.empty(STEPS, x.dtype)
    units = _units(_longest(offsets))
    for unit in range(start, stop):
        i, at, length, begin, end = _unit(unit, units, elements, offsets)
        if begin >= end:
            continue
        _residuals(z, m, m_bias, x[i], scale[i], at, begin, end)
        _standardise(z, eps, mean, factor, end - begin)
        for c in range(channels):
            row, z_row = out[i, c][begin:end], z[c]
            for n in range(uintp(len(row))):
                row[n] = z_row[n] * factor[n] * weight[c] + bias[c]
            if end == length:
                out[i, c][length:] = 0


@_kernel
def glu_residual_norm_backward(
    m, m_bias, x, grad, grad_m, grad_x, scale, weight, eps, grads, elements, offsets, start, stop
):
    """The adjoint of `glu_residual_norm`; grads (B, units of an element, 4D) are those of m_bias, weight and bias."""
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
        _residuals(z, m, m_bias, x[i], scale[i], at, begin, end)
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
            g, out, gate, z_row = grad[i, c][begin:end], grad_x[i, c][begin:end], channels + c, z[c]
            for n in range(uintp(len(g))):
                out[n] = factor[n] * (g[n] * weight[c] - along_one[n] - z_row[n] * along_z[n])
            values, gates = m[c][at + begin : at + end], m[gate][at + begin : at + end]
            to_value, to_gate = grad_m[c][at + begin : at + end], grad_m[gate][at + begin : at + end]
            sums[c], sums[gate] = _residual_backward(
                to_value, to_gate, values, gates, m_bias[c], m_bias[gate], out, scale[i, c]
            )
            if end == length:
                grad_x[i, c][length:] = 0


@_inline
def _longest(offsets):
    """Steps of the longest element."""
    return np.max(offsets[1:] - offsets[:-1])


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
def _residual(z, value, gate, value_bias, gate_bias, x, scale):
    """z = x + scale * GLU of one row."""
    for n in range(uintp(len(x))):
        z[n] = x[n] + scale * (widen(value[n]) + value_bias) * sigmoid(widen(gate[n]) + gate_bias)


@_inline
def _residuals(z, m, m_bias, x, scale, at, begin, end):
    """z = x + scale * GLU(m + m_bias) of the steps begin..end of the element from column `at` on; z (D, STEPS)."""
    channels = len(x)
    for c in range(channels):
        values, gates = m[c][at + begin : at + end], m[channels + c][at + begin : at + end]
        _residual(z[c], values, gates, m_bias[c], m_bias[channels + c], x[c][begin:end], scale[c])


@_inline
def _residual_backward(to_value, to_gate, value, gate, value_bias, gate_bias, grad, scale):
    """The adjoint of `_residual`: grad -> to_value, to_gate; returns the gradients of the biases."""
    for_value, for_gate = grad.dtype.type(0), grad.dtype.type(0)
    for n in range(uintp(len(grad))):
        opened = sigmoid(widen(gate[n]) + gate_bias)
        g = scale * grad[n] * opened
        h = g * (widen(value[n]) + value_bias)
        h -= h * opened
        to_value[n], to_gate[n] = narrow(to_value, g), narrow(to_gate, h)
        for_value += g
        for_gate += h
    return for_value, for_gate


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
