"""Read images from pictures, arrays, tables, or lines of one pixel each."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.fields import parse_row
from multiresconv.data.readers.npy import open_numbers
from multiresconv.data.readers.pictures import read_picture
from multiresconv.data.readers.remarks import Tell, tell_nobody
from multiresconv.data.readers.text import STANDARD_INPUT, read_lines

MAX_PIXELS = 1 << 28  # of all images in a file, which are in memory together: 256 MB for each channel

_ROWS = 1024  # images that are converted at once


def read_images(path: Path, side: int, channels: int, tell: Tell = tell_nobody) -> NDArray[np.uint8]:
    """Read the images (n, side * side, channels) of a file, pixels 0 to 255.

    Args:
        path: one of:
            a picture, see `read_picture`;
            `.npy`, an image of shape (side, side[, channels]) or (side * side, channels), or n of them;
            `.csv` or standard input, one line of side * side * channels numbers per image, the channels of a pixel side
            by side.
        side: height and width in pixels.
        channels: numbers per pixel.
        tell: takes a remark for everything that was done to a picture.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file has another kind or size, or a number is not an integer from 0 to 255.
    """
    if path.suffix.lower() == ".npy":
        return _array(path, side, channels)
    if path.suffix.lower() == ".csv" or path == STANDARD_INPUT:
        return _table(path, side, channels)
    return read_picture(path, side, channels, tell).reshape(1, side * side, channels)


def read_pixels(lines: Iterable[str], channels: int) -> Iterator[NDArray[np.uint8]]:
    """Parse each line into one pixel (1, channels): integers from 0 to 255, separated by blanks or commas.

    Raises:
        ValueError: a line has the wrong number of values, or a value is not an integer from 0 to 255.
    """
    names = [f"channel {number}" for number in range(1, channels + 1)]
    for number, line in enumerate(lines, start=1):
        where = f"standard input, line {number}"
        yield _to_uint8(np.array(parse_row(line, names, where)), where)[None]


def _table(path: Path, side: int, channels: int) -> NDArray[np.uint8]:
    names = [f"pixel {number}" for number in range(1, side * side * channels + 1)]
    rows: list[NDArray[np.uint8]] = []
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}, line {number}"
        _check_count(len(rows) + 1, side, where)
        rows.append(_to_uint8(np.array(parse_row(line, names, where)), where))
    if not rows:
        raise ValueError(f"{path}: no image in it; expected a line of {len(names)} numbers for each")
    return np.stack(rows).reshape(-1, side * side, channels)


def _array(path: Path, side: int, channels: int) -> NDArray[np.uint8]:
    file = open_numbers(path)
    shapes = [(side * side, channels), (side, side, channels)] + ([(side, side)] if channels == 1 else [])
    for shape in shapes:
        rest = file.shape[: -len(shape)]
        if file.shape[-len(shape) :] == shape and len(rest) < 2 and 0 not in rest:
            break
    else:
        wanted = " or ".join(map(str, shapes))
        raise ValueError(f"{path}: expected an array of shape {wanted}, or n of them, got {file.shape}")
    if not rest:
        return _to_uint8(file.section(...), str(path)).reshape(1, side * side, channels)
    _check_count(rest[0], side, str(path))
    parts = [
        _to_uint8(file.section(slice(start, start + _ROWS)), f"{path}, from image {start + 1} on")
        for start in range(0, rest[0], _ROWS)
    ]
    return np.concatenate(parts).reshape(-1, side * side, channels)


def _check_count(count: int, side: int, where: str) -> None:
    if count * side * side > MAX_PIXELS:
        raise ValueError(f"{where}: expected at most {MAX_PIXELS // side**2} images of {side} x {side} in a file")


def _to_uint8(values: NDArray, where: str) -> NDArray[np.uint8]:
    """Convert pixels; an error in one line (n,) of numbers names the column."""
    for bad, expected in (
        (np.isnan(values), "pixels from 0 to 255, a value is missing"),
        (~((values >= 0) & (values <= 255)), "pixels from 0 to 255"),
        (values != np.floor(values), "whole numbers from 0 to 255"),
    ):
        if bad.any():
            column = f", column {int(bad.argmax()) + 1}" if values.ndim == 1 else ""
            raise ValueError(f"{where}{column}: expected {expected}")
    return values.astype(np.uint8)
