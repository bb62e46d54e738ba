"""Numba kernel of sampling: draw a pixel, run the network one step, and so on, without a way back to Python.

Between two pixels of a small network Python would take several times as long as the network itself.
"""

# Numba compiles annotations and calls that type checkers read otherwise.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false

import math

import numpy as np

from multiresconv.models.logistic_mixture import HALF_RANGE, MIN_LOG_SCALE
from multiresconv.ops.cpu.kernels.jit import inline, kernel
from multiresconv.ops.cpu.kernels.streaming import _linear, step_blocks


@kernel
def sample_pixels(
    images, first, last, params, gumbel, logistic, lines, position, encoder, encoder_bias, output, output_bias,
    addresses, eps, kernel_size, memory, projection, batch_norm, finite, groups, start, stop,
):  # fmt: skip
    """Draw pixels first..last of images (B, L, C) uint8 as `draw_pixels` would, with noise (B, L, M) and (B, L, C).

    For the units start..stop: a unit is one of `groups` parts of the batch. The state, params (B, P), lines and
    position (B,), comes up to date in place. encoder and output are weights; lines and what follows the two linear maps
    is as in `step_blocks`. finite (B,) becomes False where parameters are not.
    """
    batch, channels = images.shape[0], images.shape[2]
    for group in range(start, stop):
        begin, end = group * batch // groups, (group + 1) * batch // groups
        x = np.empty((end - begin, channels), params.dtype)
        encoded, features = np.empty((2, end - begin, lines.shape[3]), params.dtype)
        for t in range(first, last):
            for row in range(begin, end):
                finite[row] &= np.isfinite(params[row]).all()
                _draw(images[row, t], params[row], gumbel[row, t], logistic[row, t])
                for c in range(channels):
                    x[row - begin, c] = (images[row, t, c] - HALF_RANGE) / HALF_RANGE
            _linear(encoded, x, encoder, encoder_bias)
            step_blocks(
                encoded, features, lines[begin:end], position[begin:end], addresses, eps, kernel_size, memory,
                projection, batch_norm,
            )  # fmt: skip
            _linear(params[begin:end], features, output, output_bias)
            position[begin:end] += 1


@inline
def _draw(pixel, params, gumbel, logistic):
    """`draw_pixels` for one pixel (C,)."""
    n_mixtures, n_channels = len(gumbel), len(logistic)
    component = 0
    for i in range(1, n_mixtures):
        if params[i] + gumbel[i] > params[component] + gumbel[component]:
            component = i
    stride = (len(params) - n_mixtures) // n_channels
    coefficients = 3 * n_mixtures + component  # there are none in grey images, which look at none
    used = 0
    for c in range(n_channels):
        at = n_mixtures + c * stride + component
        log_scale = max(float(params[at + n_mixtures]), MIN_LOG_SCALE)
        level = HALF_RANGE * (params[at] + math.exp(log_scale) * logistic[c])
        for before in range(c):
            level += math.tanh(float(params[coefficients + used * stride])) * (pixel[before] - HALF_RANGE)
            used += 1
        pixel[c] = np.uint8(min(max(np.floor(level), -128.0), 127.0) + 128.0)
