"""Numba kernel of sampling: it draws a pixel, runs the network one step, and repeats, all without Python.

With a small network, Python code between two pixels would take several times as long as the network itself.
"""

# Type checkers reject annotations and calls that Numba compiles.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false

import math

import numpy as np

from multiresconv.ops.cpu.kernels.jit import inline, kernel
from multiresconv.ops.cpu.kernels.network import advance_rows, working_memory


@kernel
def sample_pixels(
    network, images, first, last, params, gumbel, logistic, lines, position, half_range, min_log_scale, finite, groups,
    start, stop,
):  # fmt: skip
    """Draw pixels first..last of images (B, L, C) uint8, like `draw_pixels`, for units start..stop.

    A unit is one of `groups` parts of the batch. The noise is gumbel (B, L, M) and logistic (B, L, C). `network` is a
    `Network`, which standardises the pixel values. The state is updated in place: params (B, P), and lines and
    position, which are addresses. finite (B,) becomes False for rows with a parameter that is not finite.
    """
    batch, channels = images.shape[0], images.shape[2]
    rows = np.arange(batch)
    for group in range(start, stop):
        begin, end = group * batch // groups, (group + 1) * batch // groups
        memory = working_memory(network, end - begin)
        x, y = memory[0], memory[1]
        for t in range(first, last):
            for row in range(begin, end):
                finite[row] &= np.isfinite(params[row]).all()
                _draw(images[row, t], params[row], gumbel[row, t], logistic[row, t], half_range, min_log_scale)
                for c in range(channels):
                    x[row - begin, c] = images[row, t, c]
            advance_rows(rows[begin:end], batch, lines, position, 0, network, memory)
            for row in range(begin, end):
                for i in range(params.shape[1]):
                    params[row, i] = y[row - begin, i]


@inline
def _draw(pixel, params, gumbel, logistic, half_range, min_log_scale):
    """`draw_pixels` for one pixel (C,)."""
    n_mixtures, n_channels = len(gumbel), len(logistic)
    component = 0
    for i in range(1, n_mixtures):
        if params[i] + gumbel[i] > params[component] + gumbel[component]:
            component = i
    stride = (len(params) - n_mixtures) // n_channels
    coefficients = 3 * n_mixtures + component  # grey images have no coefficients and read none
    used = 0
    for c in range(n_channels):
        at = n_mixtures + c * stride + component
        log_scale = max(float(params[at + n_mixtures]), min_log_scale)
        level = half_range * (params[at] + math.exp(log_scale) * logistic[c])
        for before in range(c):
            level += math.tanh(float(params[coefficients + used * stride])) * (pixel[before] - half_range)
            used += 1
        pixel[c] = np.uint8(min(max(np.floor(level), -128.0), 127.0) + 128.0)
