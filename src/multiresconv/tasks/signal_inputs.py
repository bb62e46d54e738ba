"""Signals of the user's: WFDB records, arrays and tables, or sample by sample."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.ptbxl import RATE, read_record


def read_signals(path: Path, leads: Sequence[str]) -> list[NDArray[np.float32]]:
    """The signals (L, leads) of a file, in mV.

    Args:
        path: a WFDB record, with or without its suffix; `.npy` of shape (L, leads) or (n, L, leads); or `.csv`, a line
            per sample, with or without a header.
        leads: names of the channels, in the order of the columns.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another shape, or with something other than finite numbers.
    """
    if path.suffix == ".npy":
        signals = _load_npy(path)
        if signals.ndim == 2:
            signals = signals[None]
        if signals.ndim != 3 or signals.shape[2] != len(leads) or 0 in signals.shape:
            raise ValueError(f"{path}: expected shape (length, {len(leads)}) or n of them, got {signals.shape}")
    elif path.suffix == ".csv":
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            lines = list(file)
        header = bool(lines) and not _is_number(lines[0].replace(",", " ").split()[:1])
        if not lines[header:]:
            raise ValueError(f"{path}: no sample in it; expected a line of {len(leads)} numbers for each")
        signals = np.stack(list(read_samples(lines[header:], len(leads), f"{path}", 1 + header)), axis=1)
    else:
        signal, rate = read_record(path)
        if rate != RATE:
            raise ValueError(f"{path}: expected {RATE} samples a second, got {rate:g}; resample the record")
        signals = signal[None]
    if not np.isfinite(signals).all():
        raise ValueError(f"{path}: expected finite numbers, got NaN or infinity")
    return list(signals.astype(np.float32))


def read_samples(
    lines: Iterable[str], channels: int, where: str = "standard input", first: int = 1
) -> Iterator[NDArray[np.float32]]:
    """Of each line the sample (1, channels) that it holds, numbers with blanks or commas between.

    Raises:
        ValueError: another number of numbers, or something else than finite numbers.
    """
    for number, line in enumerate(lines, start=first):
        try:
            values = np.array([float(word) for word in line.replace(",", " ").split()], np.float32)
        except ValueError as error:
            raise ValueError(f"{where}, line {number}: expected numbers: {error}") from None
        if len(values) != channels or not np.isfinite(values).all():
            seen = f"{len(values)}" if len(values) != channels else line.strip()
            raise ValueError(f"{where}, line {number}: expected {channels} finite numbers, got {seen}")
        yield values[None]


def _load_npy(path: Path) -> NDArray:
    try:
        values = np.load(path, allow_pickle=False)
    except (EOFError, ValueError) as error:
        raise ValueError(f"{path}: not a .npy file of numbers: {error}") from error
    if values.dtype.kind not in "iuf":
        raise ValueError(f"{path}: expected numbers, got {values.dtype}")
    return values


def _is_number(words: Sequence[str]) -> bool:
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False
