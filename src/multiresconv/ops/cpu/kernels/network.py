"""Numba kernel of streaming: steps of a whole network in one call.

A network and its state are given by addresses, see `Network`. Arrays and loops are as in `kernels.streaming`.
"""

# Numba's intrinsics are called with one argument less than type checkers see in their definition.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportPrivateImportUsage=false

import functools
import math

import numpy as np
import torch
from numba import carray, uintp

from multiresconv.ops.cpu.kernels.addresses import address_of, array_at, fetch_and_add, pointer_at
from multiresconv.ops.cpu.kernels.elementary import normal, sigmoid
from multiresconv.ops.cpu.kernels.jit import callback, inline
from multiresconv.ops.cpu.kernels.layout import (
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
from multiresconv.ops.cpu.kernels.linear import linear
from multiresconv.ops.cpu.kernels.streaming import step, transpose


@functools.cache
def advance_network(dtype: torch.dtype) -> int:
    """Compile what advances a whole network of this dtype; return the address of a function of one pointer.

    It points to a call, see `Network.call`. Several threads may call the function at once with the same pointer: each
    takes the next group of rows until none is left.
    """
    return callback({torch.float32: _advance_float32, torch.float64: _advance_float64}[dtype])


def _advance_float32(call):
    record = carray(pointer_at(address_of(call)), CALL_SIZE, np.int64)
    _advance_groups(record, carray(pointer_at(record[EPS]), record[N_BLOCKS], np.float32))


def _advance_float64(call):
    record = carray(pointer_at(address_of(call)), CALL_SIZE, np.int64)
    _advance_groups(record, carray(pointer_at(record[EPS]), record[N_BLOCKS], np.float64))


@inline
def _advance_groups(record, eps):
    """Take groups of rows, as long as there are any, through the steps of a call."""
    blocks = carray(pointer_at(record[BLOCKS]), (record[N_BLOCKS], 11), np.int64)
    ends = carray(pointer_at(record[ENDS]), 6, np.int64)
    memory = carray(pointer_at(record[MEMORY]), record[DEPTH], np.int64)
    sizes = record[SIZES:]
    network = Network(blocks, ends, eps, memory, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6])
    group = fetch_and_add(record)
    while group < record[GROUPS]:
        _advance_group(network, record, group)
        group = fetch_and_add(record)


@inline
def _advance_group(network, record, group):
    """Take one group of rows through the steps x -> y of a call, and update the state."""
    x, y, length, rows, count = record[X], record[Y], record[LENGTH], record[ROWS], record[COUNT]
    like, inputs = network.eps, network.inputs
    index = carray(pointer_at(rows), count, np.int64)
    samples, tokens = array_at(x, (count, length, inputs), like), carray(pointer_at(x), (count, length), np.int64)
    outputs = array_at(y, (count, length, network.outputs), like)
    begin, end = group * count // record[GROUPS], (group + 1) * count // record[GROUPS]
    memory = working_memory(network, end - begin)
    x_rows, y_rows, features = memory[0], memory[1], memory[2]
    for t in range(length):
        for i in range(begin, end):
            if inputs:
                _copy(x_rows[i - begin], samples[i, t])
            else:
                table = array_at(network.ends[ENCODER], (tokens[i, t] + 1, network.channels), like)
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
        transpose(lo[b], array_at(blocks[b, H0], (channels, kernel_size), like), True)
        transpose(hi[b], array_at(blocks[b, H1], (channels, kernel_size), like), True)
        transpose(w[b], array_at(blocks[b, W], (channels, width), like), False)
    features, branch = np.empty((rows, channels), like.dtype), np.empty((rows, channels), like.dtype)
    x, mixed = np.empty((rows, network.inputs), like.dtype), np.empty((rows, 2 * channels), like.dtype)
    y, scratch = np.empty((rows, network.outputs), like.dtype), np.empty((3, channels), like.dtype)
    return x, y, features, branch, mixed, scratch, lo, hi, w


@inline
def advance_rows(rows, batch, lines, position, pooled, network, memory):
    """Run the whole network for one step of these rows of the state, from x to y in `memory`."""
    x, y, features, branch, mixed, scratch, lo, hi, w = memory
    channels, blocks, ends, like = network.channels, network.blocks, network.ends, network.eps
    all_lines = array_at(lines, (batch, len(blocks), network.slots, channels), like)
    positions = carray(pointer_at(position), batch, np.int64)
    if network.inputs:
        _encode(features, x, network)
    for b in range(len(blocks)):
        at, following = blocks[b], min(b + 1, len(blocks) - 1)
        for i in range(len(rows)):
            line, ahead, n = all_lines[rows[i], b], all_lines[rows[i], following], positions[rows[i]]
            step(features[i], branch[i], line, ahead, n, lo[b], hi[b], w[b], network.memory, scratch, 0, channels)
        if at[MIX]:
            _finish_block(features, branch, mixed, at, network.eps[b], like)
        else:
            _copy_rows(features, branch)
    for i in range(len(rows)):
        positions[rows[i]] += 1
    if network.pooling != NO_POOLING:
        _pool(features, rows, positions, pooled, network.pooling)
    if ends[HEAD]:
        weight = array_at(ends[HEAD], (network.outputs, channels), like)
        linear(y, features, weight, array_at(ends[HEAD_BIAS], network.outputs, like))
    else:
        _copy_rows(y, features)


@inline
def _encode(features, x, network):
    """Standardise samples x (rows, inputs) in place and encode them into features (rows, D)."""
    ends, inputs, like = network.ends, network.inputs, network.eps
    if ends[INPUT_MEAN]:
        mean, std = array_at(ends[INPUT_MEAN], inputs, like), array_at(ends[INPUT_STD], inputs, like)
        for i in range(len(x)):
            for c in range(uintp(inputs)):
                x[i, c] = (x[i, c] - mean[c]) / std[c]
    if ends[ENCODER]:
        weight = array_at(ends[ENCODER], (network.channels, inputs), like)
        linear(features, x, weight, array_at(ends[ENCODER_BIAS], network.channels, like))
    else:
        _copy_rows(features, x)


@inline
def _finish_block(features, branch, mixed, at, eps, like):
    """Run a block after its convolution `branch`, and overwrite `features` with its output; both (rows, D)."""
    channels = features.shape[1]
    weight, bias = array_at(at[MIX], (2 * channels, channels), like), array_at(at[MIX_BIAS], 2 * channels, like)
    for i in range(len(features)):
        for c in range(uintp(channels)):
            branch[i, c] *= normal(branch[i, c])[0]  # GELU
    linear(mixed, branch, weight, bias)
    for i in range(len(features)):
        for c in range(uintp(channels)):
            branch[i, c] = mixed[i, c] * sigmoid(mixed[i, uintp(channels) + c])
    if at[PROJECTION]:
        weight = array_at(at[PROJECTION], (channels, channels), like)
        bias = array_at(at[PROJECTION_BIAS], channels, like)
        linear(mixed, branch, weight, bias)
        _copy_rows(branch, mixed)
    weight, bias = array_at(at[NORM], channels, like), array_at(at[NORM_BIAS], channels, like)
    for i in range(len(features)):
        for c in range(uintp(channels)):
            features[i, c] += branch[i, c]
        if at[MEAN]:
            mean, variance = array_at(at[MEAN], channels, like), array_at(at[VARIANCE], channels, like)
            _batch_norm(features[i], weight, bias, mean, variance, eps)
        else:
            _layer_norm(features[i], weight, bias, eps)


@inline
def _pool(features, rows, positions, pooled, pooling):
    """Replace features (rows, D) by the mean or maximum of all steps so far; positions already count this step."""
    channels = features.shape[1]
    totals = carray(pointer_at(pooled), (len(positions), channels), np.float64)
    maxima = array_at(pooled, (len(positions), channels), features)
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
