"""Read WFDB annotation files, such as the beats in `100.atr`."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.extras import load_extra

MAX_ANNOTATIONS = 1 << 26  # bytes; two to four for an annotation
_END = bytes(2)


class Annotations(NamedTuple):
    """The annotations of a record."""

    samples: NDArray[np.float64]  # (n,) whole sample numbers, counted from 0
    labels: tuple[str, ...]  # the symbol of each: N, V, A, + and so on
    is_beat: NDArray[np.bool_]  # (n,) by the list of the WFDB library
    rate: float  # samples per second


def read_wfdb_annotations(path: Path) -> Annotations:
    """Read an annotation file; its name is that of the record and the annotator, such as `100.atr`.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged, or neither it nor the header of the record tells the rate; the message names
            the file.
        ModuleNotFoundError: the ECG extra is not installed.
    """
    _check(path)
    library = load_extra("wfdb.io.annotation", "Annotations of WFDB records", "ecg")
    found = _read(library, path)
    samples = np.asarray(found.sample, np.float64)
    if (samples < 0).any():
        raise ValueError(f"{path}: annotation {int((samples < 0).argmax()) + 1}: expected a sample of at least 0")
    if found.fs is None or not 0 < found.fs < float("inf"):
        raise ValueError(f"{path}: expected samples per second, in the file or in the header of the record, got none")
    is_qrs = np.zeros(256, bool)
    is_qrs[: len(library.is_qrs)] = library.is_qrs
    codes = np.asarray(found.label_store, np.int64)
    return Annotations(samples, tuple(map(str, found.symbol)), is_qrs[codes], float(found.fs))


def _check(path: Path) -> None:
    """Raise ValueError for a file that is too large, cut or of another format."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size > MAX_ANNOTATIONS:
            raise ValueError(f"{path}: expected at most {MAX_ANNOTATIONS} bytes of annotations, got {size}")
        file.seek(max(size - 2, 0))
        if size % 2 or file.read() != _END:
            raise ValueError(f"{path}: cut, or no WFDB annotation file: expected two zero bytes at its end")


def _read(library: Any, path: Path) -> Any:
    """Call wfdb, whose errors are of any type for a damaged file."""
    try:
        return library.rdann(
            str(path.with_suffix("")), path.suffix[1:], return_label_elements=["symbol", "label_store"]
        )
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{path}: not readable annotations ({type(error).__name__}: {error})") from None
