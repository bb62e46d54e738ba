"""Read signals from WFDB records, arrays and tables, block by block: a recording of any length takes little memory."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.npy import NumbersFile, open_numbers
from multiresconv.data.readers.remarks import Tell, tell_nobody
from multiresconv.data.readers.samples import read_samples
from multiresconv.data.readers.text import STANDARD_INPUT, read_lines
from multiresconv.data.readers.values import SignalCheck
from multiresconv.data.readers.wfdb import read_wfdb_blocks

BLOCK = 1 << 14  # samples that are read at once
TABLES = (".csv", ".tsv", ".txt")


Signal = Iterator[NDArray[np.float32]]  # blocks (n, C), at most BLOCK samples each


def read_signals(path: Path, channels: Channels, tell: Tell = tell_nobody) -> Iterator[Signal]:
    """Yield the signals of a file; read each signal's blocks before asking for the next signal.

    Args:
        path: a WFDB record, with or without its suffix; `.npy` of shape (L, C) or (n, L, C); or `.csv`, `.tsv`, `.txt`
            or standard input, see `read_samples`. Arrays do not state their unit and are read as they are; nor do
            tables, unless their header does. Only records state their rate.
        channels: what to expect.
        tell: takes remarks: conversions, and doubts about the range.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the content does not fit the channels; the message names the file and the place in it.
    """
    if path.suffix.lower() == ".npy":
        yield from _arrays(open_numbers(path), channels, tell)
    elif path.suffix.lower() in TABLES or path == STANDARD_INPUT:
        yield read_samples(read_lines(path), channels, str(path), block=BLOCK, tell=tell)
    else:
        yield read_wfdb_blocks(path, channels, BLOCK, tell)


def _arrays(file: NumbersFile, channels: Channels, tell: Tell) -> Iterator[Signal]:
    shape = file.shape
    if len(shape) not in (2, 3) or shape[-1] != len(channels) or 0 in shape:
        turned = len(shape) in (2, 3) and shape[-2] == len(channels)
        raise ValueError(
            f"{file.path}: expected shape (length, {len(channels)}) or n of them, got {shape}"
            f"{'; transpose it' if turned else ''}"
        )
    if len(shape) == 2:
        yield _blocks(file, (), channels, str(file.path), tell)
        return
    for row in range(shape[0]):
        yield _blocks(
            file, (row,), channels, f"{file.path}, row {row + 1}", lambda text, n=row + 1: tell(f"row {n}: {text}")
        )


def _blocks(file: NumbersFile, row: tuple[int, ...], channels: Channels, where: str, tell: Tell) -> Signal:
    def place(sample: int, channel: int) -> str:
        return f"{where}, sample {sample + 1}, column {channel + 1} ({channels.names[channel]})"

    check = SignalCheck(channels, place)
    for start in range(0, file.shape[-2], BLOCK):
        yield check(file.section((*row, slice(start, start + BLOCK))))
    for doubt in check.doubts():
        tell(doubt)
