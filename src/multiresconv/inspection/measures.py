"""What is measured of one trained layer, on the CPU in float64."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.layers import MultiresLayer
from multiresconv.ops.analysis import effective_receptive_field, frequency_response, impulse_response, scale_energies

SHARE = 0.99  # of the energy, that the effective receptive field holds
MOST_STEPS, MOST_FREQUENCIES = 2**16, 2**13  # responses are cut there, so that any layer fits in memory

Values = NDArray[Any]


def weights(layer: MultiresLayer) -> tuple[Tensor, Tensor, Tensor]:
    """h0, h1 and w."""
    h0, h1, w = (t.detach().cpu().double() for t in (layer.h0, layer.h1, layer.w))
    return h0, h1, w


def impulse_responses(layer: MultiresLayer) -> Values:
    """(D, steps), newest step first: the whole receptive field, or `MOST_STEPS` of it."""
    return impulse_response(*weights(layer), layer.memory, min(layer.receptive_field, MOST_STEPS)).numpy()


def effective_steps(responses: Values) -> Values:
    """(D,) how many of the newest steps hold `SHARE` of the energy of impulse responses (D, steps)."""
    return effective_receptive_field(torch.from_numpy(responses), SHARE).numpy()


def gains(layer: MultiresLayer, channels: Values) -> tuple[Values, Values]:
    """Frequencies (F,) between 0 and 1/2 cycle per step, and gains (J + 1, channels, F) of b_1, ..., b_J and a_J.

    So many frequencies that the pass band of the coarsest scale has eight, as far as `MOST_FREQUENCIES` allows.
    """
    h0, h1, _ = (t[channels] for t in weights(layer))
    count = min(2 ** (max(layer.depth, 4) + 3), MOST_FREQUENCIES)
    frequencies, low, high = frequency_response(h0, h1, layer.depth, count + 1)
    return frequencies[1:-1].numpy(), torch.cat([high.flip(0), low[None]])[..., 1:-1].abs().numpy()


def terms(layer: MultiresLayer) -> tuple[str, ...]:
    """Names of the terms of the operator, from fine to coarse: x, b_1, ..., b_J, a_J."""
    return ("x", *(f"b_{scale}" for scale in range(1, layer.depth + 1)), f"a_{layer.depth}")


def energy_shares(layer: MultiresLayer) -> Values:
    """(J + 2,) shares of the terms in the energy that they put out for white input, mean over the channels.

    A mean of shares, and not the share of all channels together, which one loud channel would decide. Channels that
    put out nothing are left out; all shares are 0 where all do.
    """
    energies = scale_energies(*weights(layer), layer.memory).flip(1).numpy()
    heard = energies[energies.sum(1) > 0]
    return (heard / heard.sum(1, keepdims=True)).sum(0) / max(len(heard), 1)
