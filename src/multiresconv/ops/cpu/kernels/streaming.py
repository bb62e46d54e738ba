"""Numba kernels of streaming: the operator step by step on delay lines, and a step of whole blocks in one call.

Delay lines as in `streaming`. Neighbours in memory are channels, so every loop over channels is a vector loop, with
unsigned indices as in `cpu_kernels`; taps are turned round for it, to (K, D) and *newest first*, and weights to (W, D).
A position may be any integer: Numba's remainder is Python's, never negative, so that no state leads out of its lines.
"""

# Numba's intrinsics take one argument less than their definition, which type checkers read.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportPrivateImportUsage=false

import math

import numpy as np
from numba import carray, types, uintp
from numba.extending import intrinsic

from multiresconv.ops.cpu.kernels.jit import inline, kernel

# Channels that a thread takes on together: the delay lines of a block stay in the nearest caches.
BLOCK = 128


@kernel
def advance(x, y, first_row, row_size, slots, position, h0, h1, w, memory, start, stop):
    """Steps x -> y, both (B, L, D), for the units start..stop; a unit is BLOCK channels of a row, or its last.

    first_row: address of the first row's delay lines (slots, D); the next one's are row_size bytes further, and so on.
    position (B,), h0 and h1 (D, K), w (D, W).
    """
    channels, dtype = x.shape[2], x.dtype
    blocks = (channels + BLOCK - 1) // BLOCK
    scratch = np.empty((3, channels), dtype)
    lo, hi = np.empty(h0.shape[::-1], dtype), np.empty(h1.shape[::-1], dtype)
    weights = np.empty(w.shape[::-1], dtype)
    _transpose(lo, h0, True)
    _transpose(hi, h1, True)
    _transpose(weights, w, False)
    for unit in range(start, stop):
        row, first = unit // blocks, unit % blocks * BLOCK
        last = min(first + BLOCK, channels)
        lines = carray(_pointer(first_row + row * row_size), (slots, channels), dtype)
        for n in range(x.shape[1]):
            _step(x[row, n], y[row, n], lines, position[row] + n, lo, hi, weights, memory, scratch, first, last)


@inline
def _step(x, y, lines, n, lo, hi, w, memory, scratch, first, last):
    """Step n of the channels first..last of a row: x -> y, both (D,); lines (S, D), scratch (3, D)."""
    a, low, high = scratch[0], scratch[1], scratch[2]
    depth, reach, stop = len(memory), len(lo) - 1, len(w) - 1
    start, wavelet_start = 0, reach * ((1 << depth) - 1)
    for c in range(uintp(first), uintp(last)):
        a[c] = x[c]
        y[c] = w[stop, c] * x[c]
    for j in range(1, depth + 1):
        kept, dilation = memory[depth - j], 1 << (j - 1)
        size = reach * dilation
        for c in range(uintp(first), uintp(last)):
            low[c] = lo[0, c] * a[c]
            high[c] = hi[0, c] * a[c]
        for i in range(1, reach + 1):
            past = lines[start + (n - i * dilation) % size]
            for c in range(uintp(first), uintp(last)):
                low[c] += lo[i, c] * past[c]
                high[c] += hi[i, c] * past[c]
        newest = lines[start + n % size]
        for c in range(uintp(first), uintp(last)):
            newest[c] = a[c]
        start += size
        if kept > 0:
            for c in range(uintp(first), uintp(last)):
                y[c] += w[stop - kept, c] * high[c]
        if kept > 1:
            size = (kept - 1) * 2 * dilation
            for t in range(1, kept):
                past = lines[wavelet_start + (n - 2 * t * dilation) % size]
                for c in range(uintp(first), uintp(last)):
                    y[c] += w[stop - kept + t, c] * past[c]
            newest = lines[wavelet_start + n % size]
            for c in range(uintp(first), uintp(last)):
                newest[c] = high[c]
            wavelet_start += size
        stop -= kept
        a, low = low, a
    for c in range(uintp(first), uintp(last)):
        y[c] += w[0, c] * a[c]


@kernel
def step_blocks(x, y, lines, position, addresses, eps, kernel_size, memory, projection, batch_norm):
    """One step through whole blocks, x -> y, both (B, D), with lines (B, blocks, S, D) and position (B,).

    addresses (blocks, n): where the contiguous tensors of each block begin, in the order of `BlockTensors`; as arrays
    they would take longer to pass, a microsecond each, than the step itself. eps (blocks,): of the norms.
    """
    batch, channels = x.shape
    width, dtype = memory.sum() + 2, x.dtype
    lo, hi = np.empty((kernel_size, channels), dtype), np.empty((kernel_size, channels), dtype)
    w, scratch = np.empty((width, channels), dtype), np.empty((3, channels), dtype)
    branch, mixed = np.empty((batch, channels), dtype), np.empty((batch, 2 * channels), dtype)
    y[:] = x
    for block in range(len(addresses)):
        at = addresses[block]
        _transpose(lo, carray(_pointer(at[0]), (channels, kernel_size), dtype), True)
        _transpose(hi, carray(_pointer(at[1]), (channels, kernel_size), dtype), True)
        _transpose(w, carray(_pointer(at[2]), (channels, width), dtype), False)
        for row in range(batch):
            _step(y[row], branch[row], lines[row, block], position[row], lo, hi, w, memory, scratch, 0, channels)
            _gelu(branch[row])
        weight = carray(_pointer(at[3]), (2 * channels, channels), dtype)
        _linear(mixed, branch, weight, carray(_pointer(at[4]), 2 * channels, dtype))
        for row in range(batch):
            _glu(branch[row], mixed[row])
        if projection:
            weight = carray(_pointer(at[7]), (channels, channels), dtype)
            _linear(mixed, branch, weight, carray(_pointer(at[8]), channels, dtype))
            branch[:] = mixed[:, :channels]
        weight, bias = carray(_pointer(at[5]), channels, dtype), carray(_pointer(at[6]), channels, dtype)
        for row in range(batch):
            for c in range(uintp(channels)):
                y[row, c] += branch[row, c]
            if batch_norm:
                mean, variance = carray(_pointer(at[-2]), channels, dtype), carray(_pointer(at[-1]), channels, dtype)
                _batch_norm(y[row], weight, bias, mean, variance, eps[block])
            else:
                _layer_norm(y[row], weight, bias, eps[block])


@intrinsic
def _pointer(context, address):
    """An address as a pointer, which `carray` makes an array of."""

    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@inline
def _transpose(out, taps, newest_first):
    """out (K, D) from taps (D, K), turned round where the newest is to come first."""
    count = len(out)
    for i in range(count):
        source = count - 1 - i if newest_first else i
        for c in range(uintp(out.shape[1])):
            out[i, c] = taps[c, source]


@inline
def _linear(out, x, weight, bias):
    """out[:, :N] = x weight^T + bias for x (B, D) and weight (N, D), four rows of it at a time."""
    zero, grouped = x.dtype.type(0), uintp(len(weight) // 4 * 4)
    for o in range(uintp(0), grouped, uintp(4)):
        w0, w1, w2, w3 = weight[o], weight[o + uintp(1)], weight[o + uintp(2)], weight[o + uintp(3)]
        for row in range(len(x)):
            s0, s1, s2, s3 = zero, zero, zero, zero
            for c in range(uintp(x.shape[1])):
                s0 += w0[c] * x[row, c]
                s1 += w1[c] * x[row, c]
                s2 += w2[c] * x[row, c]
                s3 += w3[c] * x[row, c]
            for i, s in enumerate((s0, s1, s2, s3)):
                out[row, o + uintp(i)] = s + bias[o + uintp(i)]
    for o in range(grouped, uintp(len(weight))):
        for row in range(len(x)):
            s0 = zero
            for c in range(uintp(x.shape[1])):
                s0 += weight[o, c] * x[row, c]
            out[row, o] = s0 + bias[o]


@inline
def _gelu(x):
    one, half, root = x.dtype.type(1), x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    for c in range(uintp(len(x))):
        x[c] = half * x[c] * (one + math.erf(x[c] * root))


@inline
def _glu(out, x):
    """First half of x times the sigmoid of the second."""
    one, count = x.dtype.type(1), uintp(len(out))
    for c in range(count):
        out[c] = x[c] / (one + math.exp(-x[count + c]))


@inline
def _layer_norm(x, weight, bias, eps):
    zero, count = x.dtype.type(0), x.dtype.type(len(x))
    mean, variance = zero, zero
    for c in range(uintp(len(x))):
        mean += x[c]
    mean /= count
    for c in range(uintp(len(x))):
        variance += (x[c] - mean) * (x[c] - mean)
    scale = x.dtype.type(1 / math.sqrt(variance / count + eps))
    for c in range(uintp(len(x))):
        x[c] = (x[c] - mean) * scale * weight[c] + bias[c]


@inline
def _batch_norm(x, weight, bias, mean, variance, eps):
    for c in range(uintp(len(x))):
        scale = x.dtype.type(1 / math.sqrt(variance[c] + eps))
        x[c] = (x[c] - mean[c]) * scale * weight[c] + bias[c]
