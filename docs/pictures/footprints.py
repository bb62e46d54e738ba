"""The footprint of a wavelet on each scale: the impulse responses of b_1 to b_6 and a_6 for Daubechies' db2."""

import numpy as np
import torch
from matplotlib.figure import Figure

from multiresconv.ops import fading, impulse_response, receptive_field, wavelet_taps, weight_size

DEPTH = 6


def draw() -> Figure:
    h0, h1 = (taps[None].double() for taps in wavelet_taps("db2"))
    length = receptive_field(DEPTH, h0.shape[1])
    figure = Figure(figsize=(9, 6), layout="constrained")
    rows = figure.subplots(DEPTH + 1, sharex=True)
    for number, axes in enumerate(rows):
        w = torch.zeros(1, weight_size(fading(DEPTH)), dtype=torch.float64)
        w[0, DEPTH - number if number < DEPTH else 0] = 1  # w is [w_a | w_6 | ... | w_1 | w_x]
        response = impulse_response(h0, h1, w, fading(DEPTH), length)[0].numpy()
        name, colour = (f"$b_{number + 1}$", "tab:orange") if number < DEPTH else (f"$a_{DEPTH}$", "tab:blue")
        axes.fill_between(-np.arange(length), response, step="mid", color=colour, alpha=0.3, linewidth=0)
        axes.step(-np.arange(length), response, where="mid", color=colour, linewidth=1.2)
        axes.set_ylabel(name, rotation=0, labelpad=14, va="center", fontsize=12)
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    rows[-1].set(xlabel="steps before now", xlim=(1 - length, 1))
    return figure
