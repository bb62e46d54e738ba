"""`SegmentedRecord`: a WFDB record of several segments, of fixed or variable layout, as one signal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.recording import listed
from multiresconv.data.readers.units import conversion
from multiresconv.data.readers.wfdb_header import GAP, SegmentsHeader, read_header
from multiresconv.data.readers.wfdb_record import Record, header_of, leads_of
from multiresconv.fields import shown


class SegmentedRecord:
    """A record whose samples are in segments, each a record of its own; has what `Record` has.

    A segment may lack leads, and there may be gaps between segments: such samples have no value (NaN).

    Args:
        stem: path of the record, without suffix.
        header: of the record.
        leads: names of the channels to return, in this order; None means all, in the order of their first segment.
        unit: unit of the values to return; None means for each lead the unit of its first segment.
        block: largest number of samples in a section.

    Raises:
        OSError: a header cannot be read.
        ValueError: a header is damaged, or a lead, rate or unit does not fit; the message does not name the record.
    """

    def __init__(
        self, stem: Path, header: SegmentsHeader, leads: Sequence[str] | None, unit: str | None, block: int
    ) -> None:
        self._stem, self._header, self._block = stem, header, block
        self.rate, self.length = header.rate, sum(segment.length for segment in header.segments)
        first, unchecked = (
            dict[str, tuple[str, str]](),
            set[str](),
        )  # in lower case -> name and unit in its first segment
        for name in dict.fromkeys(segment.name for segment in header.segments if segment.name != GAP):
            path = stem.with_name(name)
            checksums = read_header(header_of(path)).checksums
            described = leads_of(path)
            if described.rate != header.rate:
                seen = f"{header.rate:g} samples a second as in the record, got {described.rate:g}"
                raise ValueError(f"segment {name}: expected {seen}")
            for lead, given, checksum in zip(described.names, described.units, checksums, strict=True):
                first.setdefault(lead.casefold(), (lead, given))
                if checksum is None:
                    unchecked.add(lead.casefold())
        self.leads = tuple(lead for lead, _ in first.values()) if leads is None else tuple(leads)
        self._folded = [lead.casefold() for lead in self.leads]
        if missing := [lead for lead in self.leads if lead.casefold() not in first]:
            raise ValueError(f"expected the leads {', '.join(self.leads)}, got no {missing[0]} in any segment")
        self.others = [lead for folded, (lead, _) in first.items() if folded not in self._folded]
        self.units = [first[folded][1] for folded in self._folded]
        self._wanted = self.units if unit is None else [unit] * len(self.leads)
        self.unchecked = [lead for lead in self.leads if lead.casefold() in unchecked]

    def sections(self, part: slice | None = None) -> Iterator[NDArray[np.float64]]:
        """Yield the signal (l, leads) section by section, as `Record.sections`; whole segments have checksums."""
        begin, end = (0, self.length) if part is None else (part.start, part.stop)
        at = 0
        for segment in self._header.segments:
            start, stop = max(begin - at, 0), min(end - at, segment.length)
            at += segment.length
            if start >= stop:
                continue
            if segment.name == GAP:
                for first in range(start, stop, self._block):
                    yield np.full((min(self._block, stop - first), len(self.leads)), np.nan)
                continue
            try:
                yield from self._of_segment(segment.name, segment.length, slice(start, stop))
            except ValueError as error:
                raise ValueError(f"segment {segment.name}: {error}") from None

    def _of_segment(self, name: str, length: int, part: slice) -> Iterator[NDArray[np.float64]]:
        path = self._stem.with_name(name)
        described = leads_of(path)
        unit_of = {lead.casefold(): unit for lead, unit in zip(described.names, described.units, strict=True)}
        places = [place for place, lead in enumerate(self._folded) if lead in unit_of]
        if not places:
            yield np.full((part.stop - part.start, len(self.leads)), np.nan)
            return
        factors = [_factor(self.leads[place], unit_of[self._folded[place]], self._wanted[place]) for place in places]
        record = Record(path, [self.leads[place] for place in places], None, self._block)
        if record.length != length:
            raise ValueError(f"expected {length} samples as in the record, got {record.length}")
        for section in record.sections(part):
            signal = np.full((len(section), len(self.leads)), np.nan)
            signal[:, places] = section * factors
            yield signal


def _factor(lead: str, given: str, wanted: str) -> float:
    factor = conversion(given, wanted)
    if factor is None:
        raise ValueError(f"lead {lead}: expected the unit {listed([wanted])} or one that converts, got {shown(given)}")
    return factor
