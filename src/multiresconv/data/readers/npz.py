"""Read sequences and their targets from a `.npz` file with arrays `X` and `y`."""

import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.recording import MAX_CHANNELS, numbered
from multiresconv.data.readers.sequences import Sequences
from multiresconv.data.readers.ts import TARGET

MAX_BYTES = 1 << 36  # of an array, unpacked
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    MemoryError,
    RuntimeError,  # encrypted, or packed by an unknown method
)


def read_npz(path: Path) -> Sequences:
    """Read `X` of shape (n, channels, time) or (n, time) and, if it is there, `y` of shape (n,) or (n, targets).

    `y` may hold texts, whole numbers or numbers. The targets are named "target", or "target 1", "target 2", ...

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged, an array is missing or has another shape or kind; the message names the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.file_size > MAX_BYTES:
                    raise ValueError(f"{member.filename}: expected at most {MAX_BYTES} bytes, got {member.file_size}")
        with np.load(path, allow_pickle=False) as arrays:
            if "X" not in arrays:
                raise ValueError(f"expected an array X, and y, got {', '.join(arrays) or 'none'}")
            return _sequences(arrays["X"], arrays.get("y"))
    except _DAMAGED as error:
        raise ValueError(f"{path}: not a readable .npz file: {error}") from None
    except OSError as error:
        if error.filename is not None:
            raise
        raise ValueError(f"{path}: not a readable .npz file: {error}") from None  # an entry begins nowhere
    except ValueError as error:  # NumPy's own too: of a damaged array, and of one of objects, which is not unpickled
        raise ValueError(f"{path}: {error}") from None


def _sequences(x: NDArray[Any], y: NDArray[Any] | None) -> Sequences:
    if x.dtype.kind not in "iuf":
        raise ValueError(f"X: expected numbers, got {x.dtype}")
    if x.ndim not in (2, 3) or 0 in x.shape:
        raise ValueError(f"X: expected shape (n, channels, time) or (n, time), got {x.shape}")
    x = x[:, None] if x.ndim == 2 else x
    if x.shape[1] > MAX_CHANNELS:
        raise ValueError(f"X: expected at most {MAX_CHANNELS} channels, got {x.shape}; transpose it")
    with np.errstate(over="ignore"):  # infinities are refused by the data set
        values = [np.ascontiguousarray(row, np.float32) for row in x]
    return Sequences(values, numbered(x.shape[1]), _targets(y, len(x)), [f"row {n + 1}" for n in range(len(x))])


def _targets(y: NDArray[Any] | None, count: int) -> dict[str, list[str]]:
    if y is None:
        return {}
    if y.dtype.kind not in "iufbU" or y.ndim not in (1, 2) or y.shape[0] != count or 0 in y.shape:
        raise ValueError(
            f"y: expected numbers or texts of shape ({count},) or ({count}, targets), got {y.dtype} {y.shape}"
        )
    if y.ndim == 1:
        return {TARGET: _texts(y)}
    return {f"{TARGET} {n + 1}": _texts(y[:, n]) for n in range(y.shape[1])}


def _texts(values: NDArray[Any]) -> list[str]:
    if values.dtype.kind == "U":
        return [text.strip() for text in values.tolist()]
    if values.dtype.kind == "b":
        return ["1" if value else "0" for value in values.tolist()]
    if values.dtype.kind in "iu":
        return [str(value) for value in values.tolist()]
    return ["" if np.isnan(value) else repr(float(value)) for value in values]
