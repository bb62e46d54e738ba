"""What the first layer of a trained network still knows of an ECG: a reconstruction from its memory.

The memory after the last sample is one number per channel and coefficient. Each is a weighted sum of the past samples
of the twelve leads, so the shortest signal with the same numbers is found by least squares.
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from multiresconv import load
from multiresconv.layers import MultiresLayer
from multiresconv.ops import impulse_response, weight_size

ROOT = Path(__file__).resolve().parents[2]
RATE, LEAD = 100, 1  # samples per second; lead II


def draw() -> Figure:
    model = load(ROOT / "results" / "ptbxl" / "model")
    ecg = np.loadtxt(ROOT / "examples" / "ecg.csv", delimiter=",", skiprows=1)  # (time, leads) in mV
    ecg = (ecg - model.net.standardise.mean.double().numpy()) / model.net.standardise.std.double().numpy()
    layer = model.net.blocks[0].conv
    sums = _sums(layer, model.net.encoder.weight.detach().double(), len(ecg))
    numbers = sums @ torch.from_numpy(ecg[::-1].copy()).reshape(-1)
    past = sums.T @ (torch.linalg.pinv(sums @ sums.T, rtol=1e-10, hermitian=True) @ numbers)
    known = past.reshape(len(ecg), -1).numpy()[::-1]

    seconds = (np.arange(len(ecg)) + 1 - len(ecg)) / RATE
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, start in zip(figure.subplots(1, 2, sharey=True, width_ratios=[2, 1]), (-10.0, -0.64), strict=True):
        axes.plot(seconds, ecg[:, LEAD], color="#999999", linewidth=1, label="lead II, standardised")
        axes.plot(seconds, known[:, LEAD], color="tab:blue", linewidth=1.2, label=f"from {len(numbers)} numbers")
        axes.set(xlabel="seconds before now", xlim=(start, 0))
    figure.axes[0].legend(loc="upper left", fontsize="small", ncols=2)
    return figure


def _sums(layer: MultiresLayer, encoder: torch.Tensor, length: int) -> torch.Tensor:
    """Return the weights of the past samples in each number of the memory, (channels * numbers, length * leads)."""
    h0, h1 = layer.h0.detach().double(), layer.h1.detach().double()
    rows = []
    for number in range(weight_size(layer.memory) - 1):
        w = torch.zeros(len(h0), weight_size(layer.memory), dtype=torch.float64)
        w[:, number] = 1
        response = impulse_response(h0, h1, w, layer.memory, length)  # (channels, steps), newest first
        rows.append(response[:, :, None] * encoder[:, None, :])
    return torch.stack(rows, 1).flatten(0, 1).flatten(1)
