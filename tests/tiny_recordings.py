"""Tiny data sets of recordings, written by the formats' own libraries."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

RATE = 50


def signal_of(number: int, length: int = 40, channels: int = 2) -> NDArray[np.float32]:
    """(time, channels), with a missing value."""
    signal = np.random.default_rng(number).normal(size=(length, channels)).astype(np.float32)
    signal[number % length, 0] = np.nan
    return signal


def write_wav(path: Path, signal: NDArray[np.float32], rate: int = RATE) -> None:
    soundfile.write(path, signal, rate, subtype="FLOAT")


def write_csv(path: Path, signal: NDArray[np.float32], names: Sequence[str], rate: float | None = None) -> None:
    table = pd.DataFrame(dict(zip(names, signal.T, strict=True)))
    if rate is not None:
        table.insert(0, "time", np.arange(len(signal)) / rate)
    table.to_csv(path, index=False)


def make_set(folder: Path, lengths: Sequence[int], **columns: Sequence[object]) -> Path:
    """Write `r0.wav`, `r1.wav`, ... and a table `labels.csv` of them with more columns; return the table's path."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [f"r{number}.wav" for number in range(len(lengths))]
    for number, (file, length) in enumerate(zip(files, lengths, strict=True)):
        write_wav(folder / file, signal_of(number, length))
    return write_table(folder / "labels.csv", file=files, **columns)


def write_table(path: Path, **columns: Sequence[object]) -> Path:
    table = pd.DataFrame(columns)
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return path
