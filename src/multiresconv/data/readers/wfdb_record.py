"""`Record`: a WFDB record of one segment, section by section."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.units import conversion
from multiresconv.data.readers.wfdb_header import Header, read_header
from multiresconv.fields import shown
from multiresconv.installation import how_to_install

MAX_WHOLE = 1 << 24  # samples of a record that can only be read at once; twelve leads of it take 1.6 GB


class Leads(NamedTuple):
    """What the header of a record says about its channels."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    rate: float


class Record:
    """A record, checked as far as its header goes.

    Args:
        stem: path of the record, without suffix.
        leads: names of the channels to return, in this order; case does not matter.
        unit: unit of the values to return; None returns each lead in its own unit.
        block: largest number of samples in a section.

    Attributes:
        rate: samples per second.
        units: unit of each lead in the file.
        unchecked: leads without a checksum.
        others: names of the leads that are left out.

    Raises:
        OSError: the header cannot be read.
        ValueError: the header is damaged or does not fit; the message does not name the file.
        ModuleNotFoundError: the ECG extra is not installed.
    """

    def __init__(self, stem: Path, leads: Sequence[str], unit: str | None, block: int) -> None:
        self._stem, self._leads, self._block = stem, tuple(leads), block
        self._header: Header = read_header(header_of(stem))
        length = self._header.length
        self._at_once = length is None or length <= block or not self._header.has_sections
        if self._at_once and (length or 0) > MAX_WHOLE:
            raise ValueError(f"expected at most {MAX_WHOLE} samples in a format that is read at once, got {length}")
        self._described: Any = _read("rdrecord" if self._at_once else "rdheader", stem)
        self._columns = _columns(self._described, leads)
        self.others = [name for i, name in enumerate(self._described.sig_name) if i not in self._columns]
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


def _read(function: str, stem: Path, **section: Any) -> Any:
    """Call a function of wfdb, whose errors are of any type for a damaged record."""
    try:
        import wfdb  # not at the top: slow to import, and part of an extra
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"ECG records need wfdb: {how_to_install('ecg')}") from None
    try:
        if function == "rdheader":
            return wfdb.rdheader(str(stem))
        return wfdb.rdrecord(str(stem), physical=False, **section)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"not readable ({type(error).__name__}: {error})") from None


def header_of(stem: Path) -> Path:
    """Return the path of a record's header."""
    return stem.with_name(f"{stem.name}.hea")


def leads_of(stem: Path) -> Leads:
    """Return what the header of a record says about its channels; `read_header` checks it before.

    Raises:
        OSError: the header cannot be read.
        ValueError: the header is damaged; the message does not name the file.
        ModuleNotFoundError: the ECG extra is not installed.
    """
    described = _read("rdheader", stem)
    units = tuple(unit or "" for unit in described.units or ())
    return Leads(tuple(name or "" for name in described.sig_name or ()), units, float(described.fs))


def _columns(record: Any, leads: Sequence[str]) -> list[int]:
    """Return the column of each lead in the record; some records have another order, or write aVR for AVR."""
    names = [(name or "").casefold() for name in record.sig_name or ()]
    wanted = [lead.casefold() for lead in leads]
    if any(names.count(lead) != 1 for lead in wanted) or len(set(wanted)) < len(wanted):
        found = ", ".join(name or "" for name in record.sig_name or ()) or "none"
        raise ValueError(f"expected the leads {', '.join(leads)}, got {found}")
    return [names.index(lead) for lead in wanted]


def _factor(lead: str, given: str, unit: str) -> float:
    factor = conversion(given, unit)
    if factor is None:
        raise ValueError(f"lead {lead}: expected the unit {unit} or one that converts to it, got {shown(given)}")
    return factor
