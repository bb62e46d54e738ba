"""Draw images from a density model and write them to files."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from multiresconv.data.readers.images import read_images
from multiresconv.files import write_atomically
from multiresconv.models import MultiresAR, SequenceModel, sample

_SCALE = 4  # width of an image pixel in pixels of the grid
_GAP = 1  # pixels between images


def write_samples(
    model: SequenceModel,
    *,
    n: int | None,
    complete: Path | None,
    rows: int | None,
    temperature: float,
    seed: int,
    out: Path,
) -> Path:
    """Draw images from a density model, or complete given ones; write a PNG grid to `out` and an .npy file beside it.

    The .npy array is (images, side, side, channels) uint8, with the completions of an image next to each other.

    Raises:
        ValueError: the model cannot draw images, or an option is out of range.
    """
    side = model.input.side
    if not isinstance(model, MultiresAR) or side is None:
        raise ValueError(f"model: a {model.output.kind} model draws no images; expected a density model of images")
    if out.suffix != ".png":
        raise ValueError(f"out: expected the path of a .png file, got {out}")
    if rows is not None and complete is None:
        raise ValueError(f"rows: {rows} rows of which images? Name them with --complete")
    n = n if n is not None else (16 if complete is None else 1)
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    prefix = None
    if complete is not None:
        kept = side // 2 if rows is None else rows
        if not 0 < kept < side:
            raise ValueError(f"rows: expected 1 to {side - 1}, got {kept}")
        given = read_images(complete, side, model.n_channels)[:, : kept * side]
        prefix = torch.from_numpy(np.repeat(given, n, axis=0)).to(model.head.weight.device)
        n = len(prefix)
    pixels = sample(model, n, side * side, prefix=prefix, temperature=temperature, seed=seed)
    images = pixels.cpu().numpy().reshape(n, side, side, -1)
    write_atomically(out.with_suffix(".npy"), lambda part: np.save(part, images))
    write_atomically(out, lambda part: Image.fromarray(grid(images)).save(part))
    return out


def grid(images: np.ndarray) -> np.ndarray:
    """Arrange images (n, side, side, C) in one enlarged picture (height, width[, 3]), as square as possible."""
    n, side, _, channels = images.shape
    columns = int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    tile = side * _SCALE + _GAP
    board = np.full((rows * tile + _GAP, columns * tile + _GAP, channels), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * tile + _GAP, i % columns * tile + _GAP
        large = image.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
        board[top : top + side * _SCALE, left : left + side * _SCALE] = large
    return board.squeeze(2) if channels == 1 else board
