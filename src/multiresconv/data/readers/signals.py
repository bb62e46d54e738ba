"""Read signals from WFDB records, arrays, tables, or lines of one sample each."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.numbers import load_numbers, numbers_of_line, words_of_line
from multiresconv.data.readers.wfdb import read_wfdb


def read_signals(path: Path, leads: Sequence[str], rate: float) -> list[NDArray[np.float32]]:
    """Read the signals (L, leads) of a file.

    Args:
        path: a WFDB record, with or without its suffix; `.npy` of shape (L, leads) or (n, L, leads); or `.csv`, see
            `read_samples`. A record states its unit and is converted to mV; other files are read as they are.
        leads: names of the channels, in the order of the columns.
        rate: sampling rate in Hz that a record must have; other files do not state theirs.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file has the wrong shape, the record has another rate, or a value is not a finite number.
    """
    if path.suffix == ".npy":
        signals = load_numbers(path)
        if signals.ndim == 2:
            signals = signals[None]
        if signals.ndim != 3 or signals.shape[2] != len(leads) or 0 in signals.shape:
            raise ValueError(f"{path}: expected shape (length, {len(leads)}) or n of them, got {signals.shape}")
    elif path.suffix == ".csv":
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            samples = list(read_samples(file, leads, f"{path}"))
        if not samples:
            raise ValueError(f"{path}: no sample in it; expected a line of {len(leads)} numbers for each")
        signals = np.stack(samples, axis=1)
    else:
        try:
            signal, seen = read_wfdb(path, leads)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}; arrays and tables are read by their suffix, .npy or .csv") from None
        if seen != rate:
            raise ValueError(f"{path}: expected {rate:g} samples a second, got {seen:g}; resample the record")
        signals = signal[None]
    signals = _to_float32(signals)
    if not np.isfinite(signals).all():
        raise ValueError(f"{path}: expected finite numbers, got NaN or infinity")
    return list(signals)


def read_samples(
    lines: Iterable[str], leads: Sequence[str], where: str = "standard input"
) -> Iterator[NDArray[np.float32]]:
    """Parse each line into one sample (1, leads): numbers separated by blanks or commas.

    The first line may be a header, which is skipped: a line without numbers. If it names the leads, their order must be
    that of `leads`.

    Raises:
        ValueError: the header has the leads in another order, or a line is not one finite number per lead.
    """
    for number, line in enumerate(lines, start=1):
        if number == 1 and _is_header(line, leads, where):
            continue
        values = _to_float32(np.array(numbers_of_line(line, f"{where}, line {number}")))
        if len(values) != len(leads) or not np.isfinite(values).all():
            seen = f"{len(values)}" if len(values) != len(leads) else line.strip()
            raise ValueError(f"{where}, line {number}: expected {len(leads)} finite numbers, got {seen}")
        yield values[None]


def _is_header(line: str, leads: Sequence[str], where: str) -> bool:
    names = [word.strip("\"'").upper() for word in words_of_line(line)]
    if not names or any(_is_number(name) for name in names):
        return False
    if names != list(leads) and sorted(names) == sorted(leads):
        raise ValueError(f"{where}, line 1: expected the leads in the order {', '.join(leads)}, got {line.strip()}")
    return True


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _to_float32(values: NDArray) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # too large numbers become infinite, which the callers refuse
        return values.astype(np.float32)
