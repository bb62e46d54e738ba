"""Read records in WFDB format: a header (`.hea`) and the samples that it describes (`.dat`)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.recording import WHOLE, Recording, Wanted, distinct, listed
from multiresconv.data.readers.remarks import Tell
from multiresconv.data.readers.units import conversions
from multiresconv.data.readers.values import SignalCheck
from multiresconv.data.readers.wfdb_header import read_header, read_segments
from multiresconv.data.readers.wfdb_record import Record, header_of, leads_of
from multiresconv.data.readers.wfdb_segments import SegmentedRecord

_BLOCK = 1 << 16  # samples of a section for those who want the whole


def read_wfdb(path: str | Path, leads: Sequence[str]) -> tuple[NDArray[np.float32], float]:
    """Read a record; return its signal (L, leads) in mV and its sampling rate in Hz.

    Args:
        path: path of the record, with or without its suffix `.hea` or `.dat`.
        leads: names of its channels, in the order of the returned columns.

    Raises:
        FileNotFoundError: the header or the samples are missing.
        ValueError: the record is damaged, a checksum is wrong, a sample has no value, or the leads differ.
        ModuleNotFoundError: the ECG extra is not installed.
    """
    stem, header = _paths(Path(path))
    with _errors_name(header):
        return read_wfdb_stem(stem, leads)


def read_wfdb_stem(stem: Path, leads: Sequence[str]) -> tuple[NDArray[np.float32], float]:
    """Do the same as `read_wfdb` for a path without suffix; a ValueError does not name the path."""
    record = _open(stem, leads, "mV", _BLOCK)
    signal = np.concatenate(list(record.sections()))
    without_value = np.count_nonzero(~np.isfinite(signal), axis=0)
    if without_value.any():
        lead = int(without_value.argmax())
        raise ValueError(f"lead {leads[lead]} has {without_value[lead]} samples without a value (NaN)")
    return signal.astype(np.float32), record.rate


def read_wfdb_recording(path: Path, wanted: Wanted = WHOLE) -> Recording:
    """Read the wanted section of a record, each channel in its own unit; NaN where a sample has no value.

    Checksums are tested if the whole record is read.

    Raises:
        FileNotFoundError: the header or the samples are missing.
        ValueError: the record is damaged, or the section or a channel is not in it; the message names the header.
        ModuleNotFoundError: the ECG extra is not installed.
    """
    stem, header = _paths(path)
    with _errors_name(header):
        names = _names(stem)
    leads = distinct(names)
    chosen = tuple(leads[column] for column in wanted.columns(leads, str(header)))
    with _errors_name(header):
        if leads != names:
            raise ValueError(f"expected leads of different names, got {listed(names)}")
        record = _open(stem, chosen, None, _BLOCK)
        if not 0 < record.rate < float("inf"):
            raise ValueError(f"expected more than 0 samples a second, got {record.rate:g}")
    part = wanted.section(record.length, record.rate, str(header))
    with _errors_name(header):
        values = np.concatenate([section.astype(np.float32) for section in record.sections(part)])
    return Recording(np.ascontiguousarray(values.T), chosen, record.rate, tuple(unit or None for unit in record.units))


def read_wfdb_blocks(path: Path, channels: Channels, block: int, tell: Tell) -> Iterator[NDArray[np.float32]]:
    """Yield the signal of a record in blocks (n, C) of at most `block` samples, in the unit of the channels.

    Raises:
        FileNotFoundError: the header or the samples are missing.
        ValueError: the record is damaged or does not fit the channels; the message names the header.
        ModuleNotFoundError: the ECG extra is not installed.
    """
    try:
        stem, header = _paths(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; arrays and tables are read by their suffix, .npy or .csv") from None
    with _errors_name(header):
        record = _open(stem, channels.names, channels.unit, block)
        if channels.rate is not None and record.rate != channels.rate:
            raise ValueError(f"expected {channels.rate:g} samples a second, got {record.rate:g}; resample the record")
        if channels.unit is not None and (remark := conversions(record.units, channels.unit)):
            tell(remark)
        if record.others:
            tell(f"left out {listed(record.others)}")
        if record.unchecked:
            tell(f"no checksum of {', '.join(record.unchecked)}: damaged samples would not be seen")
        check = SignalCheck(channels, lambda sample, lead: f"sample {sample + 1}, lead {channels.names[lead]}")
        for section in record.sections():
            yield check(section)
        for doubt in check.doubts():
            tell(doubt)


def _open(stem: Path, leads: Sequence[str], unit: str | None, block: int) -> Record | SegmentedRecord:
    """Open some leads of a record of one or several segments; see `Record`."""
    segments = read_segments(header_of(stem))
    return Record(stem, leads, unit, block) if segments is None else SegmentedRecord(stem, segments, leads, unit, block)


def _names(stem: Path) -> tuple[str, ...]:
    """Return the names of the leads of a record, read with the limits for headers."""
    if (segments := read_segments(header_of(stem))) is not None:
        return SegmentedRecord(stem, segments, None, None, _BLOCK).leads
    read_header(header_of(stem))
    return leads_of(stem).names


@contextmanager
def _errors_name(header: Path) -> Iterator[None]:
    """Make errors name the header of the record."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{header}: its samples are missing: {error.filename}") from None
    except ValueError as error:
        raise ValueError(f"{header}: {error}") from None


def _paths(path: Path) -> tuple[Path, Path]:
    """Return the path of a record without suffix, and the path of its header."""
    stem = path.with_suffix("") if path.suffix in (".hea", ".dat") else path
    header = header_of(stem)
    if not header.is_file():
        raise FileNotFoundError(f"{header}: no such file; expected the header of a WFDB record")
    return stem, header
