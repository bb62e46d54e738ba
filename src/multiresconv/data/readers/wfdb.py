"""Read records in WFDB format: a header (`.hea`) and the samples that it describes (`.dat`)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.recording import WHOLE, Recording, Wanted, distinct, listed
from multiresconv.data.readers.remarks import Tell
from multiresconv.data.readers.units import conversion, conversions
from multiresconv.data.readers.values import SignalCheck
from multiresconv.data.readers.wfdb_header import Header, read_header
from multiresconv.fields import shown

MAX_WHOLE = 1 << 24  # samples of a record that can only be read at once; twelve leads of it take 1.6 GB

_BLOCK = 1 << 16  # samples of a section for those who want the whole


class Record:
    """A record, checked as far as its header goes.

    Args:
        stem: path of the record, without suffix.
        leads: names of the channels, in the order of the columns to return; case does not matter.
        unit: unit of the values to return; None returns each lead in its own unit.
        block: largest number of samples in a section.

    Attributes:
        rate: samples per second.
        units: unit of each lead in the file.
        unchecked: leads without a checksum.

    Raises:
        OSError: the header cannot be read.
        ValueError: the header is damaged or does not fit; the message does not name the file.
        ModuleNotFoundError: the ECG extra is not installed.
    """

    def __init__(self, stem: Path, leads: Sequence[str], unit: str | None, block: int) -> None:
        self._stem, self._leads, self._block = stem, tuple(leads), block
        self._header: Header = read_header(stem.with_name(f"{stem.name}.hea"))
        length = self._header.length
        self._at_once = length is None or length <= block or not self._header.has_sections
        if self._at_once and (length or 0) > MAX_WHOLE:
            raise ValueError(f"expected at most {MAX_WHOLE} samples in a format that is read at once, got {length}")
        self._described: Any = _read("rdrecord" if self._at_once else "rdheader", stem)
        self._columns = _columns(self._described, leads)
        self.rate = float(self._described.fs)
        self.units = [self._described.units[column] for column in self._columns]
        self.unchecked = [leads[i] for i, c in enumerate(self._columns) if self._header.checksums[c] is None]
        for column in self._columns:
            if not self._header.gains[column]:
                name = self._described.sig_name[column]
                raise ValueError(f"lead {name}: expected a gain other than 0; without it the samples have no unit")
        self._factors = [
            1.0 if unit is None else _factor(lead, given, unit) for lead, given in zip(leads, self.units, strict=True)
        ]

    @property
    def length(self) -> int:
        """Samples of each lead."""
        return self._header.length or int(self._described.sig_len)

    def sections(self, part: slice | None = None) -> Iterator[NDArray[np.float64]]:
        """Yield the signal (l, leads) section by section; NaN where a sample has no value.

        Args:
            part: the samples to read, with start and stop; None reads all. Only of all samples a checksum is known.

        Raises:
            OSError: the samples cannot be read.
            ValueError: the samples are damaged; a wrong checksum is seen after the last section.
        """
        if part is not None and (part.start, part.stop) != (0, self.length):
            yield from self._part(part)
            return
        sums = np.zeros(len(self._described.sig_name), np.int64)
        for record in self._read_sections():
            if record.d_signal is None or not len(record.d_signal):
                raise ValueError("expected samples, got none")
            sums += record.d_signal.sum(0)
            yield record.dac()[:, self._columns] * self._factors  # samples without a value become NaN
        for name, said, seen in zip(self._described.sig_name, self._header.checksums, sums % 65536, strict=True):
            if said is not None and said % 65536 != seen:
                raise ValueError(f"lead {name} has checksum {seen}, but the header says {said}")

    def _part(self, part: slice) -> Iterator[NDArray[np.float64]]:
        if self._at_once:
            yield self._described.dac()[part, self._columns] * self._factors
            return
        for start in range(part.start, part.stop, self._block):
            record = _read("rdrecord", self._stem, sampfrom=start, sampto=min(start + self._block, part.stop))
            yield record.dac()[:, self._columns] * self._factors

    def _read_sections(self) -> Iterator[Any]:
        if self._at_once:
            yield self._described
            return
        length = self._header.length or 0
        for start in range(0, length, self._block):
            yield _read("rdrecord", self._stem, sampfrom=start, sampto=min(start + self._block, length))


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
    record = Record(stem, leads, "mV", _BLOCK)
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
        read_header(header)  # with its limits, before wfdb reads it
        names = [name or "" for name in _read("rdheader", stem).sig_name or ()]
    leads = distinct(names)
    columns = wanted.columns(leads, str(header))
    with _errors_name(header):
        if leads != tuple(names):
            raise ValueError(f"expected leads of different names, got {listed(names)}")
        record = Record(stem, leads, None, _BLOCK)
        if not 0 < record.rate < float("inf"):
            raise ValueError(f"expected more than 0 samples a second, got {record.rate:g}")
    part = wanted.section(record.length, record.rate, str(header))
    with _errors_name(header):
        values = np.concatenate([section[:, columns].astype(np.float32) for section in record.sections(part)])
    units = tuple(record.units[column] or None for column in columns)
    return Recording(np.ascontiguousarray(values.T), tuple(leads[column] for column in columns), record.rate, units)


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
        record = Record(stem, channels.names, channels.unit, block)
        if channels.rate is not None and record.rate != channels.rate:
            raise ValueError(f"expected {channels.rate:g} samples a second, got {record.rate:g}; resample the record")
        if channels.unit is not None and (remark := conversions(record.units, channels.unit)):
            tell(remark)
        if record.unchecked:
            tell(f"no checksum of {', '.join(record.unchecked)}: damaged samples would not be seen")
        check = SignalCheck(channels, lambda sample, lead: f"sample {sample + 1}, lead {channels.names[lead]}")
        for section in record.sections():
            yield check(section)
        for doubt in check.doubts():
            tell(doubt)


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
    header = stem.with_name(f"{stem.name}.hea")
    if not header.is_file():
        raise FileNotFoundError(f"{header}: no such file; expected the header of a WFDB record")
    return stem, header


def _read(function: str, stem: Path, **section: Any) -> Any:
    """Call a function of wfdb, whose errors are of any type for a damaged record."""
    try:
        import wfdb  # not at the top: slow to import, and part of an extra
    except ModuleNotFoundError:
        raise ModuleNotFoundError('ECG records need wfdb: pip install "multiresconv[ecg]"') from None
    try:
        if function == "rdheader":
            return wfdb.rdheader(str(stem))
        return wfdb.rdrecord(str(stem), physical=False, **section)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"not readable ({type(error).__name__}: {error})") from None


def _columns(record: Any, leads: Sequence[str]) -> list[int]:
    """Return the column of each lead in the record; some records have another order, or write aVR for AVR."""
    names = [(name or "").casefold() for name in record.sig_name or ()]
    wanted = [lead.casefold() for lead in leads]
    if sorted(names) != sorted(wanted):
        found = ", ".join(name or "" for name in record.sig_name or ()) or "none"
        raise ValueError(f"expected the leads {', '.join(leads)}, got {found}")
    return [names.index(lead) for lead in wanted]


def _factor(lead: str, given: str, unit: str) -> float:
    factor = conversion(given, unit)
    if factor is None:
        raise ValueError(f"lead {lead}: expected the unit {unit} or one that converts to it, got {shown(given)}")
    return factor
