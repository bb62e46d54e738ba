"""Read numbers from `.npy` files and lines of text, for the readers of images and signals."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def load_numbers(path: Path) -> NDArray:
    """Read the array of a `.npy` file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged, or is not an array of real numbers.
    """
    try:
        with open(path, "rb") as file:  # not `np.load`, which also reads archives and whose errors suggest pickle
            values = np.lib.format.read_array(file, allow_pickle=False)
    except (MemoryError, ValueError) as error:
        raise ValueError(f"{path}: not a .npy file of numbers: {error}") from error
    if values.dtype.kind not in "iuf":
        raise ValueError(f"{path}: expected numbers, got {values.dtype}")
    return values


def numbers_of_line(line: str, where: str) -> list[float]:
    """Parse a line of numbers separated by blanks or commas; error messages begin with `where`."""
    try:
        return [float(word) for word in words_of_line(line)]
    except ValueError as error:
        raise ValueError(f"{where}: expected numbers: {error}") from None


def words_of_line(line: str) -> list[str]:
    return line.replace(",", " ").split()
