"""Numba kernels of a block after its first linear map: each does in one pass over memory what takes PyTorch many.

`residual` and `residual_norm` compute GLU, dropout, residual sum and, the latter, layer norm. They take the output of
the linear map and the block's input, and give the block's output. With a projection, `gated` computes GLU and dropout
for the projection's input; `residual`, with scale None, then takes the projection's output without GLU and dropout.
Backward recomputes what forward did not keep.

Input and output of the block are sequences (B, D, L), zero beyond an element's steps in the output. Inputs and outputs
of the linear maps are packs (D, steps): columns offsets[k]..offsets[k + 1] are element elements[k] of the batch. All
are contiguous, and every loop runs along time. A pack may be bfloat16, viewed as uint16. `scale` (B, D) holds the
dropout factors of the channels. `m` (2D, steps), or (D, steps) from a projection, lacks the bias; the kernels add it.
"""

import numpy as np
from numba import uintp

from multiresconv.ops.cpu.kernels.elementary import narrow, sigmoid, widen
from multiresconv.ops.cpu.kernels.jit import inline, kernel

# Steps that a layer norm computes together: with all channels, they stay in the nearest caches.
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
    """Adjoint of `gated`: grad_m from grad; grads (B, 2D) receives the gradient of m_bias for each element."""
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
    """Adjoint of `residual`: grad_m and grad_x from grad; grads (B, 2D) receives the gradient of m_bias."""
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
    """out = layer norm of the output of `residual`, for units start..stop. A unit is STEPS steps of an element.

    Every element has as many units as the longest one.
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
    """Adjoint of `residual_norm`; grads (B, units of an element, 4D) receives those of m_bias, weight and bias."""
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
    """Return the number of steps of the longest element."""
    longest = offsets[1] - offsets[0]
    for k in range(1, len(offsets) - 1):
        longest = max(longest, offsets[k + 1] - offsets[k])
    return longest


@inline
def _row(row, channels, elements, offsets):
    """Return a row's element, channel, first column in the pack and number of steps."""
    k = row // channels
    return elements[k], row % channels, offsets[k], offsets[k + 1] - offsets[k]


@inline
def _units(length):
    return (length + STEPS - 1) // STEPS


@inline
def _unit(unit, units, elements, offsets):
    """Return a unit's element, the element's first column in the pack and its length, and the unit's begin and end."""
    k, begin = unit // units, (unit % units) * STEPS
    length = offsets[k + 1] - offsets[k]
    return elements[k], offsets[k], length, begin, min(begin + STEPS, length)


@inline
def _glu(value, gate, value_bias, gate_bias):
    return (widen(value) + value_bias) * sigmoid(widen(gate) + gate_bias)


@inline
def _residual(z, m, m_bias, x, scale, i, c, at, begin, end):
    """z[: end - begin] = `residual` at steps begin..end of row x, channel c of element i; its columns begin at `at`."""
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
    """Compute `_residual` for every channel; z (D, STEPS)."""
    for c in range(len(x)):
        _residual(z[c], m, m_bias, x[c], scale, i, c, at, begin, end)


@inline
def _residual_backward(grad_m, m, m_bias, grad, scale, sums, i, c, begin, end):
    """Adjoint of `_residual`: grad -> columns begin..end of grad_m; `sums` receives the gradients of the biases."""
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
    """Adjoint of scale * GLU for channel c: grad -> columns begin..end of grad_m; `sums` as in `_residual_backward`."""
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
    """Subtract from z (D, STEPS) its mean over D, in place; factor receives the reciprocal standard deviations."""
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
