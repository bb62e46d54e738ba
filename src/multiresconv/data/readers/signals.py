"""Read signals from WFDB records, arrays and tables, block by block: a recording of any length takes little memory."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.npy import NumbersFile, open_numbers
from multiresconv.data.readers.npz import read_npz
from multiresconv.data.readers.read_recording import at_rate, read_stored
from multiresconv.data.readers.recording import Recording, Wanted
from multiresconv.data.readers.remarks import Tell, tell_nobody
from multiresconv.data.readers.samples import read_samples
from multiresconv.data.readers.text import STANDARD_INPUT, read_lines
from multiresconv.data.readers.ts import read_ts
from multiresconv.data.readers.units import conversion, conversions
from multiresconv.data.readers.values import SignalCheck
from multiresconv.data.readers.wfdb import read_wfdb_blocks
from multiresconv.fields import shown

BLOCK = 1 << 14  # samples that are read at once
TABLES = (".csv", ".tsv", ".txt")
SEQUENCES = {".ts": read_ts, ".npz": read_npz}


Signal = Iterator[NDArray[np.float32]]  # blocks (n, C), at most BLOCK samples each


def read_signals(path: Path, channels: Channels, tell: Tell = tell_nobody) -> Iterator[Signal]:
    """Yield the signals of a file; read each signal's blocks before asking for the next signal.

    Args:
        path: a WFDB record, with or without its suffix; `.npy` of shape (L, C) or (n, L, C); or `.csv`, `.tsv`, `.txt`
            or standard input, see `read_samples`. Arrays do not state their unit and are read as they are; nor do
            tables, unless their header does. Only records state their rate.
        channels: what to expect. With `channels.select` the file may also be of any format of `read_recording`, or a
            `.ts` or `.npz` file with many sequences; a recording is then read at once.
        tell: takes remarks: conversions, and doubts about the range.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the content does not fit the channels; the message names the file and the place in it.
    """
    if channels.select and path != STANDARD_INPUT:
        yield from _selected(path, channels, tell)
    elif path.suffix.lower() == ".npy":
        yield from _arrays(open_numbers(path), channels, tell)
    elif path.suffix.lower() in TABLES or path == STANDARD_INPUT:
        yield read_samples(read_lines(path), channels, str(path), block=BLOCK, tell=tell)
    else:
        yield read_wfdb_blocks(path, channels, BLOCK, tell)


def _selected(path: Path, channels: Channels, tell: Tell) -> Iterator[Signal]:
    """Yield the wanted channels of a recording of any format, or of each sequence of a `.ts` or `.npz` file."""
    if read := SEQUENCES.get(path.suffix.lower()):
        sequences = read(path)
        for place, values in zip(sequences.places, sequences.values, strict=True):
            recording = Recording(values, sequences.channels, sequences.rate, None)
            if sequences.rate is not None and channels.rate not in (None, sequences.rate):
                tell(f"resampled from {sequences.rate:g} to {channels.rate:g} samples a second")
                recording = at_rate(recording, channels.rate, f"{path}, {place}")
            yield _checked(recording, channels, f"{path}, {place}", lambda text, at=place: tell(f"{at}: {text}"))
        return
    yield _at_rate(next(read_stored(path, [wanted_of(channels)])), channels, str(path), tell)[0]


def read_selected(path: Path, channels: Channels, tell: Tell = tell_nobody) -> tuple[NDArray[np.float32], float | None]:
    """Read the wanted channels of a recording of any format; return its signal (n, C) and its samples per second.

    Args:
        path: a recording, see `read_recording`.
        channels: what to expect, with `select`.
        tell: takes remarks: conversions, and doubts about the range.

    Raises:
        OSError: the file cannot be read.
        ValueError: the content does not fit the channels; the message names the file and the place in it.
    """
    return selected(next(read_stored(path, [wanted_of(channels)])), channels, str(path), tell)


def wanted_of(channels: Channels, start: float | None = None, stop: float | None = None) -> Wanted:
    """Return what to read of a file for these channels, from `start` to `stop`; see `Wanted`."""
    return Wanted(channels.names if channels.named else None, channels.rate, start, stop)


def selected(
    recording: Recording, channels: Channels, where: str, tell: Tell = tell_nobody
) -> tuple[NDArray[np.float32], float | None]:
    """Bring a recording to the rate and the unit of the channels; return its signal (n, C) and samples per second.

    Args:
        recording: with the wanted channels and the rate of its file, as `read_stored` yields it.
        channels: what to expect.
        where: what the recording is called in messages.
        tell: takes remarks: conversions, and doubts about the range.

    Raises:
        ValueError: the recording does not fit the channels; the message begins with `where`.
    """
    blocks, rate = _at_rate(recording, channels, where, tell)
    return np.concatenate(list(blocks)), rate


def _at_rate(recording: Recording, channels: Channels, where: str, tell: Tell) -> tuple[Signal, float | None]:
    """Return the blocks of a recording at the rate of the channels, and that rate."""
    if channels.rate is not None and recording.rate is None:
        tell(f"states no rate, taken as {channels.rate:g} samples a second")
    elif channels.rate not in (None, recording.rate):
        tell(f"resampled from {recording.rate:g} to {channels.rate:g} samples a second")
    recording = at_rate(recording, channels.rate, where)
    return _checked(recording, channels, where, tell), recording.rate


def _checked(recording: Recording, channels: Channels, where: str, tell: Tell) -> Signal:
    """Yield the blocks of a recording in the unit of the channels."""
    if len(recording.channels) != len(channels):
        expected, given = f"{len(channels)} channels, {', '.join(channels.names)}", len(recording.channels)
        raise ValueError(f"{where}: expected {expected}; got {given}")
    values = recording.values
    if channels.unit is not None and recording.units is not None:
        given_units = [unit for unit in recording.units if unit is not None]
        if remark := conversions(given_units, channels.unit):
            tell(remark)
        factors = [1.0 if unit is None else conversion(unit, channels.unit) for unit in recording.units]
        if None in factors:
            name, unit = recording.channels[factors.index(None)], recording.units[factors.index(None)]
            raise ValueError(f"{where}, {name}: expected the unit {channels.unit}, got {shown(unit)}")
        values = values * np.array(factors, np.float32)[:, None]
    check = SignalCheck(channels, lambda sample, channel: f"{where}, sample {sample + 1}, {channels.names[channel]}")
    for start in range(0, values.shape[1], BLOCK):
        yield check(values[:, start : start + BLOCK].T)
    for doubt in check.doubts():
        tell(doubt)


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
