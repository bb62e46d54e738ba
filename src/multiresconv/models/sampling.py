"""`sample`: draws images from a `MultiresAR`, one streaming step per pixel."""

import copy
from numbers import Real
from operator import index

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.models.autoregressive import MultiresAR
from multiresconv.models.logistic_mixture import draw_pixels
from multiresconv.models.sampling_cpu import complete_cpu


def sample(
    model: MultiresAR,
    n: int,
    length: int,
    *,
    prefix: Tensor | None = None,
    temperature: float = 1.0,
    seed: int = 0,
    batch_size: int = 16,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Draw n images, or complete n images from their first pixels.

    Image i depends on the model, the temperature, the seed, i and its prefix only. It depends neither on n nor on the
    batch size, and a longer image begins like a shorter one.

    Args:
        model: the density model; a copy runs in eval mode on the model's device.
        n: number of images.
        length: pixels of an image.
        prefix: (n, p, C) uint8 with p <= length, the first pixels of each image; default none.
        temperature: >= 0; divides the logits of the mixture and multiplies the scales of its components. 1 draws from
            the model's distribution. Lower values give likelier and less varied images. 0 takes the mean of the
            likeliest component at each pixel.
        seed: >= 0.
        batch_size: number of images that are drawn side by side. Each needs memory for a state of the whole network.
        dtype: precision of the network. Rounding depends on batch size, thread count and device. In float32 it
            sometimes changes a level by 1, and the rest of the image then differs. In float64 that practically never
            happens, at up to twice the time for large networks.

    Returns:
        Pixels (n, length, C) uint8, on the CPU.

    Raises:
        TypeError: the prefix is not uint8, or a number argument is not a number.
        ValueError: a number is out of range, the prefix has another shape, or the model's outputs are not finite.
    """
    _check_numbers(n, length, temperature, seed, batch_size)
    images = torch.empty(n, length, model.n_channels, dtype=torch.uint8, device="cpu")
    given = 0 if prefix is None else _check_prefix(prefix, images)
    model = copy.deepcopy(model).to(dtype).eval()
    if prefix is not None:
        images[:, :given] = prefix
    for first in range(0, n, batch_size):
        batch = images[first : first + batch_size]
        noises = [image_noise(model, length, seed=seed, row=first + row) for row in range(len(batch))]
        gumbel, logistic = (temperature * np.stack(noise) for noise in zip(*noises, strict=True))
        _complete(model, batch, given, gumbel, logistic)
    return images


def image_noise(model: MultiresAR, length: int, *, seed: int, row: int) -> tuple[NDArray[np.float64], ...]:
    """Draw the noise of image `row` for `draw_pixels`: Gumbel (L, M) and logistic (L, C)."""
    uniform = np.random.default_rng([seed, row]).random((length, model.n_mixtures + model.n_channels))
    log_u = np.log(np.maximum(uniform, 2.0**-54))  # uniform draws can be 0 but not 1
    gumbel, logistic = -np.log(-log_u), log_u - np.log1p(-uniform)
    return gumbel[:, : model.n_mixtures], logistic[:, model.n_mixtures :]


@torch.inference_mode()
def _complete(
    model: MultiresAR, images: Tensor, given: int, gumbel: NDArray[np.float64], logistic: NDArray[np.float64]
) -> None:
    """Draw the pixels of images (B, L, C) from pixel `given` on, in place; noise is (B, L, M) and (B, L, C)."""
    device = model.head.weight.device
    state = model.init_state(len(images))
    if given:
        _, state = model(images[:, :given].to(device), state=state)
    if complete_cpu(model, images, given, gumbel, logistic, state):
        return
    pixels = images.numpy()
    for t in range(given, images.shape[1]):
        params = state["params"].cpu().double().numpy()
        if not np.isfinite(params).all():
            raise ValueError(f"model: expected finite outputs, got NaN or infinity in pixel {t}")
        pixels[:, t] = draw_pixels(params, gumbel[:, t], logistic[:, t])
        _, state = model.step(images[:, t].to(device), state)


def _check_prefix(prefix: Tensor, images: Tensor) -> int:
    """Check the prefix and return its number of pixels."""
    if not isinstance(prefix, Tensor) or prefix.dtype != torch.uint8:
        found = prefix.dtype if isinstance(prefix, Tensor) else type(prefix).__name__
        raise TypeError(f"prefix: expected a tensor of uint8 levels 0..255, got {found}")
    n, length, channels = images.shape
    shape = tuple(prefix.shape)
    if len(shape) != 3 or (shape[0], shape[2]) != (n, channels) or shape[1] > length:
        raise ValueError(f"prefix: expected shape ({n}, at most {length}, {channels}), got {shape}")
    return shape[1]


def _check_numbers(n: int, length: int, temperature: float, seed: int, batch_size: int) -> None:
    for name, number, least in (("n", n, 1), ("length", length, 1), ("seed", seed, 0), ("batch_size", batch_size, 1)):
        if not hasattr(number, "__index__"):
            raise TypeError(f"{name}: expected an integer, got {number!r}")
        if index(number) < least:
            raise ValueError(f"{name}: expected at least {least}, got {number}")
    if not isinstance(temperature, Real):
        raise TypeError(f"temperature: expected a number, got {temperature!r}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature: expected a number from 0 up, got {temperature}")
