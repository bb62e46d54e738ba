"""Numba kernels of streaming: steps of the operator on delay lines, and steps of a whole network in one call.

`ops.streaming` describes the delay lines. Channels are contiguous, so every loop over channels is vectorised, with
unsigned indices as in `kernels.operator`. The taps are transposed to (K, D), *newest first*, and the weights to (W, D).
A position may be any integer: Numba's remainder, like Python's, is never negative, so no index leaves its line.
"""

# Numba's intrinsics are called with one argument less than type checkers see in their definition.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportPrivateImportUsage=false

import functools
import math

import numpy as np
import torch
from llvmlite import ir
from numba import carray, types, uintp
from numba.core import cgutils
from numba.extending import intrinsic

from multiresconv.ops.cpu.kernels.elementary import normal, sigmoid
from multiresconv.ops.cpu.kernels.jit import callback, inline, kernel
from multiresconv.ops.cpu.kernels.linear import linear
from multiresconv.ops.cpu.network import (
    BATCH,
    BLOCKS,
    CALL_SIZE,
    COUNT,
    DEPTH,
    ENCODER,
    ENCODER_BIAS,
    ENDS,
    EPS,
    GROUPS,
    H0,
    H1,
    HEAD,
    HEAD_BIAS,
    INPUT_MEAN,
    INPUT_STD,
    LENGTH,
    LINES,
    MAX_POOLING,
    MEAN,
    MEAN_POOLING,
    MEMORY,
    MIX,
    MIX_BIAS,
    N_BLOCKS,
    NO_POOLING,
    NORM,
    NORM_BIAS,
    POOLED,
    POSITION,
    PROJECTION,
    PROJECTION_BIAS,
    ROWS,
    SIZES,
    VARIANCE,
    Network,
    W,
    X,
    Y,
)

# Channels that a thread computes together: their delay lines stay in the nearest caches.
BLOCK = 128


@kernel
def advance(x, y, first_row, row_size, slots, position, h0, h1, w, memory, start, stop):
    """Compute y from the next steps x, both (B, L, D), for units start..stop. A unit is up to BLOCK channels of a row.

    first_row: address of the first row's delay lines (slots, D); those of the next row are row_size bytes further.
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
            _step(x[row, n], y[row, n], lines, lines, position[row] + n, lo, hi, weights, memory, scratch, first, last)


@inline
def _step(x, y, lines, ahead, n, lo, hi, w, memory, scratch, first, last):
    """Compute step n of the channels first..last of a row: x -> y, both (D,); lines (S, D), scratch (3, D).

    `ahead` are the delay lines that the caller uses next. The values that step n reads from their scaling coefficients
    are prefetched, because the lines of many rows do not stay in the caches from one step to the next.
    """
    a, low, high = scratch[0], scratch[1], scratch[2]
    depth, reach, stop = len(memory), len(lo) - 1, len(w) - 1
    start, wavelet_start = 0, reach * ((1 << depth) - 1)
    for c in range(uintp(first), uintp(last)):
        a[c] = x[c]
        y[c] = w[stop, c] * x[c]
    for j in range(1, depth + 1):
        kept, dilation = memory[depth - j], 1 << (j - 1)
        size = reach * dilation
        slot = start + n % size
        line = lines[slot]  # holds step n - size, the oldest that the filters read, until this step overwrites it
        for c in range(uintp(first), uintp(last)):
            low[c] = lo[0, c] * a[c] + lo[reach, c] * line[c]
        for i in range(1, reach):
            past = lines[start + (n - i * dilation) % size]
            for c in range(uintp(first), uintp(last)):
                low[c] += lo[i, c] * past[c]
        if kept > 0:
            for c in range(uintp(first), uintp(last)):
                high[c] = hi[0, c] * a[c] + hi[reach, c] * line[c]
            for i in range(1, reach):
                past = lines[start + (n - i * dilation) % size]
                for c in range(uintp(first), uintp(last)):
                    high[c] += hi[i, c] * past[c]
            for c in range(uintp(first), uintp(last)):
                y[c] += w[stop - kept, c] * high[c]
        for c in range(uintp(first), uintp(last)):
            line[c] = a[c]
        _prefetch_row(ahead[slot], first, last)
        start += size
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


@functools.cache
def advance_network(dtype: torch.dtype) -> int:
    """Compile what advances a whole network of this dtype; return the address of a function of one pointer.

    It points to a call, see `Network.call`. Several threads may call the function at once with the same pointer: each
    takes the next group of rows until none is left.
    """
    return callback({torch.float32: _advance_float32, torch.float64: _advance_float64}[dtype])


def _advance_float32(call):
    record = carray(_pointer(_address(call)), CALL_SIZE, np.int64)
    _advance_groups(record, carray(_pointer(record[EPS]), record[N_BLOCKS], np.float32))


def _advance_float64(call):
    record = carray(_pointer(_address(call)), CALL_SIZE, np.int64)
    _advance_groups(record, carray(_pointer(record[EPS]), record[N_BLOCKS], np.float64))


@inline
def _advance_groups(record, eps):
    """Take groups of rows, as long as there are any, through the steps of a call."""
    blocks = carray(_pointer(record[BLOCKS]), (record[N_BLOCKS], 11), np.int64)
    ends = carray(_pointer(record[ENDS]), 6, np.int64)
    memory = carray(_pointer(record[MEMORY]), record[DEPTH], np.int64)
    sizes = record[SIZES:]
    network = Network(blocks, ends, eps, memory, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6])
    group = _fetch_and_add(record)
    while group < record[GROUPS]:
        _advance_group(network, record, group)
        group = _fetch_and_add(record)


@inline
def _advance_group(network, record, group):
    """Take one group of rows through the steps x -> y of a call, and update the state."""
    x, y, length, rows, count = record[X], record[Y], record[LENGTH], record[ROWS], record[COUNT]
    like, inputs = network.eps, network.inputs
    index = carray(_pointer(rows), count, np.int64)
    samples, tokens = _array(x, (count, length, inputs), like), carray(_pointer(x), (count, length), np.int64)
    outputs = _array(y, (count, length, network.outputs), like)
    begin, end = group * count // record[GROUPS], (group + 1) * count // record[GROUPS]
    memory = working_memory(network, end - begin)
    x_rows, y_rows, features = memory[0], memory[1], memory[2]
    for t in range(length):
        for i in range(begin, end):
            if inputs:
                _copy(x_rows[i - begin], samples[i, t])
            else:
                table = _array(network.ends[ENCODER], (tokens[i, t] + 1, network.channels), like)
                _copy(features[i - begin], table[tokens[i, t]])
        advance_rows(
            index[begin:end], record[BATCH], record[LINES], record[POSITION], record[POOLED], network, memory
        )  # fmt: skip
        for i in range(begin, end):
            _copy(outputs[i, t], y_rows[i - begin])


@inline
def working_memory(network, rows):
    """Allocate the arrays that `advance_rows` needs beside the state, for `rows` rows, and transpose the taps.

    Each array is allocated separately, because Numba would not know that views of a common one are contiguous.
    """
    channels, blocks, like = network.channels, network.blocks, network.eps
    width, kernel_size = network.width, network.kernel_size
    lo = np.empty((len(blocks), kernel_size, channels), like.dtype)
    hi = np.empty((len(blocks), kernel_size, channels), like.dtype)
    w = np.empty((len(blocks), width, channels), like.dtype)
    for b in range(len(blocks)):
        _transpose(lo[b], _array(blocks[b, H0], (channels, kernel_size), like), True)
        _transpose(hi[b], _array(blocks[b, H1], (channels, kernel_size), like), True)
        _transpose(w[b], _array(blocks[b, W], (channels, width), like), False)
    features, branch = np.empty((rows, channels), like.dtype), np.empty((rows, channels), like.dtype)
    x, mixed = np.empty((rows, network.inputs), like.dtype), np.empty((rows, 2 * channels), like.dtype)
    y, scratch = np.empty((rows, network.outputs), like.dtype), np.empty((3, channels), like.dtype)
    return x, y, features, branch, mixed, scratch, lo, hi, w


@inline
def advance_rows(rows, batch, lines, position, pooled, network, memory):
    """Run the whole network for one step of these rows of the state, from x to y in `memory`."""
    x, y, features, branch, mixed, scratch, lo, hi, w = memory
    channels, blocks, ends, like = network.channels, network.blocks, network.ends, network.eps
    all_lines = _array(lines, (batch, len(blocks), network.slots, channels), like)
    positions = carray(_pointer(position), batch, np.int64)
    if network.inputs:
        _encode(features, x, network)
    for b in range(len(blocks)):
        at, following = blocks[b], min(b + 1, len(blocks) - 1)
        for i in range(len(rows)):
            line, ahead, n = all_lines[rows[i], b], all_lines[rows[i], following], positions[rows[i]]
            _step(features[i], branch[i], line, ahead, n, lo[b], hi[b], w[b], network.memory, scratch, 0, channels)
        if at[MIX]:
            _finish_block(features, branch, mixed, at, network.eps[b], like)
        else:
            _copy_rows(features, branch)
    for i in range(len(rows)):
        positions[rows[i]] += 1
    if network.pooling != NO_POOLING:
        _pool(features, rows, positions, pooled, network.pooling)
    if ends[HEAD]:
        weight = _array(ends[HEAD], (network.outputs, channels), like)
        linear(y, features, weight, _array(ends[HEAD_BIAS], network.outputs, like))
    else:
        _copy_rows(y, features)


@inline
def _encode(features, x, network):
    """Standardise samples x (rows, inputs) in place and encode them into features (rows, D)."""
    ends, inputs, like = network.ends, network.inputs, network.eps
    if ends[INPUT_MEAN]:
        mean, std = _array(ends[INPUT_MEAN], inputs, like), _array(ends[INPUT_STD], inputs, like)
        for i in range(len(x)):
            for c in range(uintp(inputs)):
                x[i, c] = (x[i, c] - mean[c]) / std[c]
    if ends[ENCODER]:
        weight = _array(ends[ENCODER], (network.channels, inputs), like)
        linear(features, x, weight, _array(ends[ENCODER_BIAS], network.channels, like))
    else:
        _copy_rows(features, x)


@inline
def _finish_block(features, branch, mixed, at, eps, like):
    """Run a block after its convolution `branch`, and overwrite `features` with its output; both (rows, D)."""
    channels = features.shape[1]
    weight, bias = _array(at[MIX], (2 * channels, channels), like), _array(at[MIX_BIAS], 2 * channels, like)
    for i in range(len(features)):
        for c in range(uintp(channels)):
            branch[i, c] *= normal(branch[i, c])[0]  # GELU
    linear(mixed, branch, weight, bias)
    for i in range(len(features)):
        for c in range(uintp(channels)):
            branch[i, c] = mixed[i, c] * sigmoid(mixed[i, uintp(channels) + c])
    if at[PROJECTION]:
        weight, bias = _array(at[PROJECTION], (channels, channels), like), _array(at[PROJECTION_BIAS], channels, like)
        linear(mixed, branch, weight, bias)
        _copy_rows(branch, mixed)
    weight, bias = _array(at[NORM], channels, like), _array(at[NORM_BIAS], channels, like)
    for i in range(len(features)):
        for c in range(uintp(channels)):
            features[i, c] += branch[i, c]
        if at[MEAN]:
            mean, variance = _array(at[MEAN], channels, like), _array(at[VARIANCE], channels, like)
            _batch_norm(features[i], weight, bias, mean, variance, eps)
        else:
            _layer_norm(features[i], weight, bias, eps)


@inline
def _pool(features, rows, positions, pooled, pooling):
    """Replace features (rows, D) by the mean or maximum of all steps so far; positions already count this step."""
    channels = features.shape[1]
    totals = carray(_pointer(pooled), (len(positions), channels), np.float64)
    maxima = _array(pooled, (len(positions), channels), features)
    for i in range(len(rows)):
        total, maximum, count = totals[rows[i]], maxima[rows[i]], positions[rows[i]]
        if pooling == MEAN_POOLING:
            for c in range(uintp(channels)):
                total[c] += features[i, c]
                features[i, c] = total[c] / count
        elif pooling == MAX_POOLING:
            for c in range(uintp(channels)):
                if not features[i, c] <= maximum[c]:  # NaN stays, as in PyTorch
                    maximum[c] = features[i, c]
                features[i, c] = maximum[c]


@intrinsic
def _pointer(context, address):
    """Convert an address to a pointer, from which `carray` makes an array."""

    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@intrinsic
def _address(context, pointer):
    """Convert a pointer to an address."""

    def generate(context, builder, signature, args):
        return builder.ptrtoint(args[0], ir.IntType(64))

    return types.int64(types.voidptr), generate


@intrinsic
def _fetch_and_add(context, array):
    """Return the first entry of an int64 array and increase it by 1, atomically."""

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(array), generate


@intrinsic
def _prefetch(context, address):
    """Prefetch a cache line into the second-level cache."""

    def generate(context, builder, signature, args):
        integer, pointer = ir.IntType(32), context.get_value_type(types.voidptr)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [pointer, integer, integer, integer]), "llvm.prefetch.p0"
        )
        builder.call(function, [builder.inttoptr(args[0], pointer), integer(0), integer(2), integer(1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@inline
def _prefetch_row(row, first, last):
    """Prefetch the channels first..last of a row (D,), one cache line of 64 bytes at a time."""
    address, size = row.ctypes.data, row.itemsize
    for offset in range(first * size, last * size, 64):
        _prefetch(address + offset)


@inline
def _array(address, shape, like):
    """Return the array at an address, with this shape and the dtype of `like`."""
    return carray(_pointer(address), shape, like.dtype)


@inline
def _copy(out, row):
    """out[:] = row; for a slice assignment Numba would also compile shape checks, which takes seconds."""
    for c in range(uintp(len(out))):
        out[c] = row[c]


@inline
def _copy_rows(out, rows):
    for i in range(len(out)):
        _copy(out[i], rows[i])


@inline
def _transpose(out, taps, newest_first):
    """Transpose taps (D, K) into out (K, D), in reversed order if `newest_first`."""
    count = len(out)
    for i in range(count):
        source = count - 1 - i if newest_first else i
        for c in range(uintp(out.shape[1])):
            out[i, c] = taps[c, source]


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
