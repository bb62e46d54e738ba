"""Mixtures of discretized logistics: a distribution over the 256 levels of every channel of a pixel.

After Salimans et al. 2017, "PixelCNN++". A pixel draws one of M mixture components, shared by its channels. In each
channel a component is a logistic distribution on the real line, scaled so that the levels 0..255 lie in [-1, 1]. The
probability of a level is the mass in its bin, which is 2/255 wide. The bin of level 0 extends to minus infinity, the
bin of level 255 to infinity. With 3 channels, the mean of the second depends linearly on the level of the first, and
the mean of the third on the levels of the first and second. The coefficients are in (-1, 1).

The parameters of a pixel are one vector, in the order of the code published with the paper:

    1 channel    [logits (M) | mean (M) | log scale (M)]
    3 channels   [logits (M) | for each channel: mean (M), log scale (M), coefficient (M)]

The coefficients are stored before tanh. Those of the three channels are: second on first, third on first, third on
second.

A log scale below -7 counts as -7. The code computes in levels minus 127.5, which is 127.5 times the scaled units. Bins
are 1 wide there. Every float type represents these levels exactly, and the difference from a nearby mean is exact too.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

HALF_RANGE = 127.5
MIN_LOG_SCALE = -7.0


def mixture_size(n_channels: int, n_mixtures: int) -> int:
    """Return the number of parameters of one pixel's distribution.

    Raises:
        ValueError: n_mixtures is below 1, or n_channels is neither 1 nor 3.
    """
    if n_channels not in (1, 3):
        raise ValueError(f"n_channels: expected 1 (grey) or 3 (colour), got {n_channels}")
    if n_mixtures < 1:
        raise ValueError(f"n_mixtures: expected at least 1, got {n_mixtures}")
    return n_mixtures * (3 if n_channels == 1 else 10)


def mixture_log_prob(params: Tensor, pixels: Tensor) -> Tensor:
    """Return the log-probability of pixels in nats, in float32 if the parameters have half precision.

    The result is accurate for every level, scale and mean, because no bin's probability is computed as a difference of
    two close numbers. With s the logistic function, s(a) - s(b) = s(a) * s(-b) * (1 - exp(b - a)). Each factor has a
    stable logarithm, and a - b is the bin width over the scale. The published code computes the difference instead, and
    below 1e-5 replaces it by the density in the middle of the bin. Both agree up to rounding, except for bins that are
    improbable and also wide for their scale.

    Args:
        params: (..., P), P = mixture_size(C, M).
        pixels: (..., C) uint8.

    Returns:
        Log-probabilities (...), differentiable in `params`.
    """
    n_channels = pixels.shape[-1]
    n_mixtures = params.shape[-1] // mixture_size(n_channels, 1)
    params = params.to(torch.promote_types(params.dtype, torch.float32))
    per_channel = params[..., n_mixtures:].unflatten(-1, (n_channels, -1, n_mixtures))
    level = (pixels.to(params.dtype) - HALF_RANGE).unsqueeze(-1)
    mean = HALF_RANGE * per_channel[..., 0, :]
    if n_channels == 3:
        second_on_first, third_on_first, third_on_second = per_channel[..., 2, :].tanh().unbind(-2)
        first, second, _ = level.unbind(-2)
        shifts = [torch.zeros_like(mean[..., 0, :]), second_on_first * first]
        mean = mean + torch.stack([*shifts, third_on_first * first + third_on_second * second], dim=-2)
    log_width = -per_channel[..., 1, :].clamp(min=MIN_LOG_SCALE) - math.log(HALF_RANGE)
    channels = _log_bin(level - mean, log_width, (pixels == 0).unsqueeze(-1), (pixels == 255).unsqueeze(-1))
    return torch.logsumexp(F.log_softmax(params[..., :n_mixtures], -1) + channels.sum(-2), -1)


def _log_bin(distance: Tensor, log_width: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:
    """Return the log-probability of a bin of width 1 under a logistic distribution.

    Args:
        distance: from the mean of the distribution to the middle of the bin.
        log_width: logarithm of the bin width over the scale.
        lowest: True where the bin includes the lower tail.
        highest: True where the bin includes the upper tail.
    """
    width = log_width.exp()
    below_upper_edge = F.logsigmoid((distance + 0.5) * width).masked_fill(highest, 0)
    above_lower_edge = F.logsigmoid((0.5 - distance) * width).masked_fill(lowest, 0)
    # log(1 - exp(-width)), by its series for small widths. `clamp` keeps the gradient of the other branch finite.
    series = log_width - width / 2 + width.square() / 24
    direct = torch.log(-torch.expm1(-width.clamp(min=1e-3)))
    both_edges = torch.where(width < 1e-3, series, direct).masked_fill(lowest | highest, 0)
    return below_upper_edge + above_lower_edge + both_edges


def draw_pixels(
    params: NDArray[np.float64], gumbel: NDArray[np.float64], logistic: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Turn noise into pixels that have the distribution of `mixture_log_prob`.

    NumPy takes a tenth of PyTorch's time here: a sampling step has few numbers, so the overhead per call dominates.

    Args:
        params: (B, P).
        gumbel: (B, M), standard Gumbel noise, which picks the component.
        logistic: (B, C), standard logistic noise. Both noises times T sample at temperature T, that is with logits / T
            and scale * T; T = 0 gives the likeliest component at its mean.

    Returns:
        Pixels (B, C).
    """
    (batch, n_mixtures), n_channels = gumbel.shape, logistic.shape[1]
    component = (params[:, :n_mixtures] + gumbel).argmax(1)
    per_channel = params[:, n_mixtures:].reshape(batch, n_channels, -1, n_mixtures)
    chosen = per_channel[np.arange(batch), :, :, component]
    level = HALF_RANGE * (chosen[:, :, 0] + np.exp(np.maximum(chosen[:, :, 1], MIN_LOG_SCALE)) * logistic)
    level[:, 0] = _nearest(level[:, 0])
    if n_channels == 3:
        coefficient = np.tanh(chosen[:, :, 2])
        level[:, 1] = _nearest(level[:, 1] + coefficient[:, 0] * level[:, 0])
        level[:, 2] = _nearest(level[:, 2] + coefficient[:, 1] * level[:, 0] + coefficient[:, 2] * level[:, 1])
    return (level + HALF_RANGE).astype(np.uint8)


def _nearest(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round each value to the middle of its bin; the outer bins include the tails."""
    return np.minimum(np.maximum(np.floor(value), -128), 127) + 0.5  # several times as fast as np.clip
