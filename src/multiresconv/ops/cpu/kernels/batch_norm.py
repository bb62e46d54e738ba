"""Numba kernels of batch norm over the valid steps. A row is one channel of an element; (B, D, L) is contiguous.

The first lengths[i] steps of element i are valid. Kernels return sums for each row; the caller adds them up.
"""

from numba import uintp

from multiresconv.ops.cpu.kernels.jit import kernel


@kernel
def moments(x, lengths, sums, start, stop):
    """Write the sum and the sum of squared deviations from the mean of rows start..stop to sums (B, D, 2)."""
    channels = x.shape[1]
    for row in range(start, stop):
        i, c = row // channels, row % channels
        values = x[i, c][: lengths[i]]
        total, squares = x.dtype.type(0), x.dtype.type(0)
        for n in range(uintp(len(values))):
            total += values[n]
        mean = total / x.dtype.type(len(values))
        for n in range(uintp(len(values))):
            squares += (values[n] - mean) * (values[n] - mean)
        sums[i, c, 0], sums[i, c, 1] = total, squares


@kernel
def normalise(x, lengths, mean, factor, bias, out, start, stop):
    """out = (x - mean) * factor + bias, and 0 in the padding; mean, factor, bias (D,)."""
    channels = x.shape[1]
    for row in range(start, stop):
        i, c = row // channels, row % channels
        valid = uintp(lengths[i])
        values, y = x[i, c], out[i, c]
        for n in range(valid):
            y[n] = (values[n] - mean[c]) * factor[c] + bias[c]
        y[lengths[i] :] = 0


@kernel
def gradient_sums(grad, x, lengths, mean, sums, start, stop):
    """Write the sums of grad and of grad * (x - mean) to sums (B, D, 2)."""
    channels = x.shape[1]
    for row in range(start, stop):
        i, c = row // channels, row % channels
        values, g = x[i, c][: lengths[i]], grad[i, c]
        total, along = x.dtype.type(0), x.dtype.type(0)
        for n in range(uintp(len(values))):
            total += g[n]
            along += g[n] * (values[n] - mean[c])
        sums[i, c, 0], sums[i, c, 1] = total, along


@kernel
def normalise_backward(grad, x, lengths, mean, factor, constant, slope, out, start, stop):
    """out = factor * (grad - constant - slope * (x - mean)), and 0 in the padding; mean, factor, ..., slope (D,)."""
    channels = x.shape[1]
    for row in range(start, stop):
        i, c = row // channels, row % channels
        values, g, y = x[i, c], grad[i, c], out[i, c]
        for n in range(uintp(lengths[i])):
            y[n] = factor[c] * (g[n] - constant[c] - slope[c] * (values[n] - mean[c]))
        y[lengths[i] :] = 0
