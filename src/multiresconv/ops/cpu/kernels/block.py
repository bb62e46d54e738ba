"""Numba kernels of a block behind its linear map: each passes over memory once for what PyTorch does in many passes.

`residual`: GLU, dropout, residual sum and, where wanted, layer norm, linear map's output and block's input -> block's
output. Where a projection is between, `gated` is GLU and dropout by itself, linear map's output -> projection's input,
and `residual`, its scale being None, takes the projection's output as it is. Backward computes again what forward did
not keep.

What enters and leaves the block is (B, D, L), what is next to the linear map a pack, (D, steps): of its elements, k has
the columns offsets[k]..offsets[k + 1] and is elements[k] of the batch. All are contiguous: every loop runs along time.
A pack may be bfloat16, seen as uint16. Beyond an element's steps, what leaves the block is 0. `scale` (B, D) is what
dropout multiplies the channels with; `m` (2D, steps), or (D, steps) from a projection, comes without the bias, which is
added here.
"""

import numpy as np
from numba import uintp

from multiresconv.ops.cpu.kernels.elementary import narrow, sigmoid, widen
from multiresconv.ops.cpu.kernels.jit import inline, kernel

# Steps that a layer norm works on together: all channels of them stay in the nearest caches.
STEPS = 128


@kernel
def gated(m, m_bias, out, scale, elements, offsets, start, stop):
    """out = scale * GLU(m + m_bias) for rows start..stop, both packs."""
    channels = scale.shape[1]
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        gate, end = channels + c, begin + length
        values, gates, row_out = m[c][begin:end], m[gate][begin:end], out[c][begin:end]
        for n in range(uintp(length)):
            row_out[n] = narrow(row_out, scale[i, c] * _glu(values[n], gates[n], m_bias[c], m_bias[gate]))


@kernel
def gated_backward(m, m_bias, grad, grad_m, scale, grads, elements, offsets, start, stop):
    """The adjoint of `gated`; grads (B, 2D) are those of m_bias."""
    channels = scale.shape[1]
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        end = begin + length
        _gated_backward(grad_m, m, m_bias, grad[c][begin:end], scale[i, c], grads[i], c, begin, end)


@kernel
def residual(m, m_bias, x, out, scale, elements, offsets, start, stop):
    """out = x + scale * GLU(m + m_bias), or x + m + m_bias where scale is None, for rows start..stop."""
    channels = x.shape[1]
    for row in range(start, stop):
        i, c, begin, length = _row(row, channels, elements, offsets)
        _residual(out[i, c], m, m_bias, x[i, c], scale, i, c, begin, 0, length)
        out[i, c][length:] = 0


@kernel
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


@kernel
def residual_norm(m, m_bias, x, out, scale, weight, bias, eps, elements, offsets, start, stop):
    """out = layer norm of what `residual` gives, for units start..stop, a unit being STEPS steps of an element.

    Every element has as many units as the longest.
    """
    channels = x.shape[1]
    z, mean, factor = np.empty((channels, STEPS), x.dtype), np.empty(STEPS, x.dtype), np.empty(STEPS, x.dtype)
    units = _units(most_steps(offsets))
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


@kernel
def residual_norm_backward(
    m, m_bias, x, grad, grad_m, grad_x, scale, weight, eps, grads, elements, offsets, start, stop
):
    """The adjoint of `residual_norm`; grads (B, units of an element, 4D) are those of m_bias, weight and bias."""
    channels = x.shape[1]
    z, mean, factor = np.empty((channels, STEPS), x.dtype), np.empty(STEPS, x.dtype), np.empty(STEPS, x.dtype)
    along_one, along_z = np.empty(STEPS, x.dtype), np.empty(STEPS, x.dtype)
    per_channel = x.dtype.type(1) / x.dtype.type(channels)
    units = _units(most_steps(offsets))
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


@inline
def most_steps(offsets):
    """Steps of the longest element."""
    longest = offsets[1] - offsets[0]
    for k in range(1, len(offsets) - 1):
        longest = max(longest, offsets[k + 1] - offsets[k])
    return longest


@inline
def _row(row, channels, elements, offsets):
    """Element, channel, first column in the pack and number of steps of a row."""
    k = row // channels
    return elements[k], row % channels, offsets[k], offsets[k + 1] - offsets[k]


@inline
def _units(length):
    return (length + STEPS - 1) // STEPS


@inline
def _unit(unit, units, elements, offsets):
    """Element, its first column in the pack, its number of steps, and which of them are the unit."""
    k, begin = unit // units, (unit % units) * STEPS
    length = offsets[k + 1] - offsets[k]
    return elements[k], offsets[k], length, begin, min(begin + STEPS, length)


@inline
def _glu(value, gate, value_bias, gate_bias):
    return (widen(value) + value_bias) * sigmoid(widen(gate) + gate_bias)


@inline
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


@inline
def _residuals(z, m, m_bias, x, scale, i, at, begin, end):
    """`_residual` for every channel; z (D, STEPS)."""
    for c in range(len(x)):
        _residual(z[c], m, m_bias, x[c], scale, i, c, at, begin, end)


@inline
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


@inline
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


@inline
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
