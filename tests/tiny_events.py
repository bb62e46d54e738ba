"""Tiny annotated records of two leads, written by the formats' own libraries."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

RATE = 360
LEADS = ("MLII", "V5")


def beats(length: int, every: int = 90) -> tuple[NDArray[np.int64], list[str]]:
    """Return the samples and symbols of annotations: a change of rhythm at 0, then N, V, N, A and so on."""
    places = np.arange(every // 2, length, every)
    return np.concatenate([[0], places]), ["+", *(("N", "V", "N", "A")[number % 4] for number in range(len(places)))]


def write_annotated(folder: Path, names: Sequence[str], length: int = 1250) -> Path:
    """Write WFDB records with annotations (.atr), and a table `records.csv` of them; return the table's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        signal = np.random.default_rng(seed).normal(size=(length, 2))
        wfdb.wrsamp(
            name,
            fs=RATE,
            units=["mV", "mV"],
            sig_name=list(LEADS),
            p_signal=signal,
            fmt=["16", "16"],
            write_dir=str(folder),
        )
        places, symbols = beats(length)
        wfdb.wrann(name, "atr", places, symbol=symbols, write_dir=str(folder))
    table = folder / "records.csv"
    table.write_text("\n".join(["file", *names]) + "\n")
    return table
