"""Small models of each kind of input, untrained, for tests that read files."""

from pathlib import Path

import numpy as np
import torch

from multiresconv.models import Input, MultiresClassifier, Output, save
from multiresconv.tasks.listops import LISTOPS_INPUT

SIDE = 8
RATE = 100
LEADS = ("I", "II", "V1")
SIGNAL = Input("signal", LEADS, unit="mV", rate=RATE, usual=((-2.0, 2.0),) * 3)
GREY = Input("image", ("grey",), side=SIDE)
COLOURS = Input("image", ("red", "green", "blue"), side=SIDE)


def classifier(input: Input, **options: object) -> MultiresClassifier:
    """An untrained classifier of three classes in eval mode; images have the mean and deviation of MNIST."""
    torch.manual_seed(0)
    size = {"n_tokens": input.size} if input.kind == "tokens" else {"d_input": input.size}
    names = ("a", "b", "c")
    arguments = {"depth": 4, "input": input, "output": Output("class", names), **size, **options}
    model = MultiresClassifier(3, 6, 1, **arguments)  # pyright: ignore[reportArgumentType]
    if input.kind == "image" and model.net.standardise is not None:
        model.net.standardise.set(33.0, 78.0)
    return model.eval()


def save_models(folder: Path) -> dict[str, Path]:
    """Save a model for each kind of input; return their folders by name."""
    inputs = {"signal": SIGNAL, "grey": GREY, "colours": COLOURS, "listops": LISTOPS_INPUT}
    for name, input in inputs.items():
        save(classifier(input), folder / name)
    return {name: folder / name for name in inputs}


def signal(length: int = 40) -> np.ndarray:
    """(length, 3) in mV, whole microvolts, within the usual range."""
    return np.random.default_rng(1).integers(-1500, 1500, (length, 3)) / 1000


def digit() -> np.ndarray:
    """(SIDE, SIDE) uint8, light on black, with many grey levels."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[1:7, 3:5] = np.random.default_rng(2).integers(60, 255, (6, 2))
    return pixels
