"""Read images from pictures (PNG and others), arrays, tables, or lines of one pixel each."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.numbers import load_numbers, numbers_of_line


def read_images(path: Path, side: int, channels: int) -> NDArray[np.uint8]:
    """Read the images (n, side * side, channels) of a file, pixels 0 to 255.

    Args:
        path: one of:
            a picture, converted to grey or colour as the channels require;
            `.npy`, an image of shape (side, side[, channels]) or (side * side, channels), or n of them;
            `.csv`, one line of side * side * channels numbers per image, the channels of a pixel side by side.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file has another kind or size, or a number is not an integer from 0 to 255.
    """
    if path.suffix == ".npy":
        return _as_images(load_numbers(path), path, side, channels)
    if path.suffix == ".csv":
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            rows = [numbers_of_line(line, f"{path}, line {number}") for number, line in enumerate(file, start=1)]
        if not rows:
            raise ValueError(f"{path}: no image in it; expected a line of {side * side * channels} numbers for each")
        for number, row in enumerate(rows, start=1):
            if len(row) != side * side * channels:
                raise ValueError(
                    f"{path}, line {number}: expected {side * side * channels} numbers, an image of {side} x {side} "
                    f"with {channels} channel(s), got {len(row)}"
                )
        return _as_images(np.array(rows).reshape(-1, side * side, channels), path, side, channels)
    return _picture(path, side, channels)


def read_pixels(lines: Iterable[str], channels: int) -> Iterator[NDArray[np.uint8]]:
    """Parse each line into one pixel (1, channels): integers from 0 to 255, separated by blanks or commas.

    Raises:
        ValueError: a line has the wrong number of values, or a value is not an integer from 0 to 255.
    """
    for number, line in enumerate(lines, start=1):
        where = f"standard input, line {number}"
        values = np.array(numbers_of_line(line, where))
        if len(values) != channels:
            raise ValueError(f"{where}: expected {channels} number(s), got {len(values)}")
        yield _to_uint8(values[None], where)


def _picture(path: Path, side: int, channels: int) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except UnidentifiedImageError:
        raise ValueError(f"{path}: expected a picture such as PNG, a .npy or a .csv file") from None
    if pixels.shape[:2] != (side, side):
        raise ValueError(
            f"{path}: expected {side} x {side} pixels, got {pixels.shape[1]} x {pixels.shape[0]}; scale it"
        )
    return pixels.reshape(1, side * side, channels)


def _as_images(values: NDArray, path: Path, side: int, channels: int) -> NDArray[np.uint8]:
    shapes = [(side * side, channels), (side, side, channels)] + ([(side, side)] if channels == 1 else [])
    for shape in shapes:
        if values.shape[-len(shape) :] == shape and values.ndim in (len(shape), len(shape) + 1) and values.size:
            return _to_uint8(values, str(path)).reshape(-1, side * side, channels)
    wanted = " or ".join(map(str, shapes))
    raise ValueError(f"{path}: expected an array of shape {wanted}, or n of them, got {values.shape}")


def _to_uint8(values: NDArray, where: str) -> NDArray[np.uint8]:
    if not (np.isfinite(values) & (values >= 0) & (values <= 255)).all():
        raise ValueError(f"{where}: expected pixels from 0 to 255")
    if (values != np.floor(values)).any():
        raise ValueError(f"{where}: expected whole numbers from 0 to 255")
    return values.astype(np.uint8)
