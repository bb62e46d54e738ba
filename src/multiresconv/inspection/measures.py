"""Measures of one trained layer, computed on the CPU in float64."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.layers import MultiresLayer
from multiresconv.ops import receptive_field
from multiresconv.ops.analysis import effective_receptive_field, frequency_response, impulse_response, scale_energies

SHARE = 0.99  # share of the energy that the effective receptive field holds
MOST_STEPS, MOST_FREQUENCIES = 2**16, 2**13  # limits of responses, so that any layer fits in memory

Values = NDArray[Any]


def weights(layer: MultiresLayer) -> tuple[Tensor, Tensor, Tensor]:
    """Return h0, h1 and w."""
    h0, h1, w = (t.detach().cpu().double() for t in (layer.h0, layer.h1, layer.w))
    return h0, h1, w


def impulse_responses(layer: MultiresLayer) -> Values:
    """Return the impulse responses (D, steps), newest step first, cut after `MOST_STEPS`."""
    return impulse_response(*weights(layer), layer.memory, min(layer.receptive_field, MOST_STEPS)).numpy()


def effective_steps(responses: Values) -> Values:
    """Return the number (D,) of newest steps that hold `SHARE` of the energy of impulse responses (D, steps)."""
    return effective_receptive_field(torch.from_numpy(responses), SHARE).numpy()


def gains(layer: MultiresLayer, channels: Values) -> tuple[Values, Values]:
    """Return frequencies (F,) in cycles per step, and gains (J + 1, channels, F) of b_1, ..., b_J and a_J.

    The frequencies lie between 0 and 1/2. Eight of them fall into the pass band of the coarsest scale, unless
    `MOST_FREQUENCIES` allows fewer only.
    """
    h0, h1, _ = (t[channels] for t in weights(layer))
    count = min(2 ** (max(layer.depth, 4) + 3), MOST_FREQUENCIES)
    frequencies, low, high = frequency_response(h0, h1, layer.depth, count + 1)
    return frequencies[1:-1].numpy(), torch.cat([high.flip(0), low[None]])[..., 1:-1].abs().numpy()


def terms(layer: MultiresLayer) -> tuple[str, ...]:
    """Return the names of the operator's terms, from fine to coarse: x, b_1, ..., b_J, a_J."""
    return ("x", *(f"b_{scale}" for scale in range(1, layer.depth + 1)), f"a_{layer.depth}")


def term_spans(layer: MultiresLayer) -> tuple[int, ...]:
    """Return how many steps, the current one included, each of `terms` depends on; a term without weights 0."""
    spans = [1]
    for scale, kept in enumerate(reversed(layer.memory), start=1):
        spans.append((kept - 1) * 2**scale + receptive_field(scale, layer.kernel_size) if kept else 0)
    return (*spans, receptive_field(layer.depth, layer.kernel_size))


def energy_shares(layer: MultiresLayer) -> Values:
    """Return the share (J + 2,) of each term in the output energy for white-noise input, averaged over the channels.

    Averaging shares instead of energies keeps one loud channel from dominating. Channels without output are left out;
    if no channel has output, all shares are 0.
    """
    energies = scale_energies(*weights(layer), layer.memory).flip(1).numpy()
    heard = energies[energies.sum(1) > 0]
    return (heard / heard.sum(1, keepdims=True)).sum(0) / max(len(heard), 1)
