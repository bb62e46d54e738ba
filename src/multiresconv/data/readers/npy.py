"""Read `.npy` files of numbers section by section. The header is checked before anything is allocated."""

import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from multiresconv.fields import shown

MAX_HEADER = 10_000  # bytes, as in NumPy; an array of numbers needs about a hundred
MAX_NUMBERS = 1 << 34  # half a year of twelve channels at 100 samples a second
MAX_DIMENSIONS = 8  # more than any reader here takes

_LENGTH_BYTES = {
    b"\x01\x00": 2,
    b"\x02\x00": 4,
    b"\x03\x00": 4,
}  # version of the format -> bytes of the header's length
# The header is a Python dict, but text of others is not evaluated, not even as a literal: nesting can exhaust the stack
_FIELDS = {
    "descr": re.compile(r"""["']descr["']\s*:\s*["']([^"']{1,20})["']"""),
    "fortran_order": re.compile(r"""["']fortran_order["']\s*:\s*(True|False)"""),
    "shape": re.compile(r"""["']shape["']\s*:\s*\(((?:\d{1,20}L?\s*,\s*)*(?:\d{1,20}L?)?)\s*\)"""),
}


@dataclass(frozen=True)
class NumbersFile:
    """An array in a file.

    Args:
        path: the file.
        shape: shape of the array.
        dtype: a dtype of real numbers.
        order: "C" or "F", the order of the axes in the file.
        offset: bytes before the first number.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    order: Any
    offset: int

    def section(self, index: Any) -> NDArray:
        """Return a copy of `array[index]`. The file is mapped for this call only, so that the memory stays small."""
        return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)[index])


def open_numbers(path: Path) -> NumbersFile:
    """Check the header of a `.npy` file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged or cut, or is not an array of real numbers with at most MAX_NUMBERS elements.
    """
    with open(path, "rb") as file:
        about = os.fstat(file.fileno())
        try:
            if not stat.S_ISREG(about.st_mode):
                raise ValueError("expected a file on a disk")
            return _checked(path, _header(file), file.tell(), about.st_size)
        except ValueError as error:
            raise ValueError(f"{path}: not a .npy file of numbers: {error}") from None


def _header(file: BinaryIO) -> str:
    start = file.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in _LENGTH_BYTES:
        raise ValueError("it does not begin as one")
    length = int.from_bytes(file.read(_LENGTH_BYTES[start[6:]]), "little")
    if length > MAX_HEADER:
        raise ValueError(f"expected a header of at most {MAX_HEADER} bytes, got {length}")
    header = file.read(length)
    if len(header) < length:
        raise ValueError("its header is cut")
    return header.decode("latin-1")


def _checked(path: Path, header: str, offset: int, size: int) -> NumbersFile:
    found = {name: pattern.findall(header) for name, pattern in _FIELDS.items()}
    if any(len(values) != 1 for values in found.values()):
        raise ValueError(f"expected a header of dtype, order and shape, got {shown(header.strip())}")
    shape = tuple(int(word.strip(" L")) for word in found["shape"][0].split(",") if word.strip())
    dtype = _real_dtype(found["descr"][0])
    count = math.prod(shape)
    if len(shape) > MAX_DIMENSIONS or count > MAX_NUMBERS:
        raise ValueError(f"expected at most {MAX_DIMENSIONS} dimensions and {MAX_NUMBERS} numbers, got {shape}")
    if size - offset < count * dtype.itemsize:
        raise ValueError(f"cut: {shape} of {dtype} takes {count * dtype.itemsize} bytes, got {size - offset}")
    return NumbersFile(path, shape, dtype, "F" if found["fortran_order"][0] == "True" else "C", offset)


def _real_dtype(description: str) -> np.dtype:
    try:
        dtype = np.dtype(description)
    except (TypeError, ValueError):
        raise ValueError(f"expected numbers, got dtype {shown(description)}") from None
    if dtype.kind not in "iuf":
        raise ValueError(f"expected numbers, got {dtype}")
    return dtype
