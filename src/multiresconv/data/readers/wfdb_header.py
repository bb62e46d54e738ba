"""Look at the header of a WFDB record before wfdb reads it: limits, and what wfdb fills in where nothing is written."""

import math
import re
from pathlib import Path
from typing import NamedTuple

MAX_HEADER = 1 << 20  # bytes; a line for each of 10,000 channels

# Formats whose samples can be read from any place; those of differences (8) and compressed ones (5xx) cannot
_WITH_SECTIONS = frozenset({"16", "24", "32", "61", "80", "160", "212", "310", "311"})
_FORMATS = _WITH_SECTIONS | {"8", "508", "516", "524"}

_FORMAT = re.compile(r"(?P<format>\d+)(x(?P<per_frame>\d+))?(:(?P<skew>\d+))?(\+\d+)?")
_SEGMENT = re.compile(r"~|[\w-]+", re.ASCII)
_NUMBER = re.compile(r"-?\d*\.?\d+(e[+-]?\d+)?|-?\d+\.", re.IGNORECASE)


GAP = "~"  # name of a segment without samples


class Segment(NamedTuple):
    name: str  # of a record in the same folder, or GAP
    length: int  # samples of each channel


class SegmentsHeader(NamedTuple):
    """What the header of a record of several segments writes."""

    rate: float  # samples per second
    segments: list[Segment]  # without the layout, which has no samples


class Header(NamedTuple):
    """What a header writes.

    Attributes:
        length: samples of each channel; None if it is not written.
        gains: gain of each channel, in units of the converter per physical unit; 0 if it is not written.
        checksums: checksum of each channel; None if it is not written.
        has_sections: False if the samples can only be read all at once.
    """

    length: int | None
    gains: list[float]
    checksums: list[int | None]
    has_sections: bool


def read_header(path: Path) -> Header:
    """Read a header.

    Raises:
        OSError: the file cannot be read.
        ValueError: the header is damaged, is of several segments, or has several samples of a channel in a frame.
    """
    (name, count, *rest), *signals = _lines(path)
    if "/" in name:
        raise ValueError("a record of several segments inside a record, expected one segment")
    if len(signals) != int(count):
        raise ValueError(f"not readable (it counts {count} channels and describes {len(signals)})")
    written = [_Signal.of(fields, number) for number, fields in enumerate(signals, start=1)]
    return Header(
        length=int(rest[1]) if len(rest) > 1 and re.fullmatch(r"\d{1,18}", rest[1]) else None,
        gains=[signal.gain for signal in written],
        checksums=[signal.checksum for signal in written],
        has_sections=all(signal.has_sections for signal in written),
    )


def read_segments(path: Path) -> SegmentsHeader | None:
    """Read the header of a record of several segments; return None for a record of one segment.

    Raises:
        OSError: the file cannot be read.
        ValueError: the header is damaged.
    """
    (name, _, *rest), *lines = _lines(path)
    if "/" not in name:
        return None
    count = name.rpartition("/")[2]
    if count != str(len(lines)):
        raise ValueError(f"not readable (it counts {count[:20]} segments and names {len(lines)})")
    segments = []
    for number, fields in enumerate(lines, start=1):
        if len(fields) < 2 or not _SEGMENT.fullmatch(fields[0]) or not re.fullmatch(r"\d{1,12}", fields[1]):
            raise ValueError(f"not readable (segment {number} has no name and number of samples)")
        segments.append(Segment(fields[0], int(fields[1])))
    rate = _NUMBER.match(rest[0]) if rest else None
    if rate is None or not 0 < float(rate[0]) < math.inf:
        raise ValueError(f"expected more than 0 samples a second, got {rest[0][:20] if rest else 'none'}")
    length = sum(segment.length for segment in segments)
    if len(rest) > 1 and re.fullmatch(r"\d{1,18}", rest[1]) and int(rest[1]) != length:
        raise ValueError(f"not readable (it counts {rest[1]} samples, its segments {length})")
    segments = [segment for segment in segments if segment.length]
    if not any(segment.name != GAP for segment in segments):
        raise ValueError("expected samples in its segments, got none")
    return SegmentsHeader(float(rate[0]), segments)


def _lines(path: Path) -> list[list[str]]:
    """Return the fields of the lines of a header, comments left out; the first has a name and a number."""
    with open(path, "rb") as file:
        content = file.read(MAX_HEADER + 1)
    if len(content) > MAX_HEADER:
        raise ValueError(f"expected a header of at most {MAX_HEADER} bytes, got more")
    lines = [line.split() for line in content.decode("ascii", "ignore").splitlines()]
    lines = [line for line in lines if line and not line[0].startswith("#")]
    if not lines or len(lines[0]) < 2 or not re.fullmatch(r"\d{1,6}", lines[0][1]):
        raise ValueError("not readable (the first line names no record and number of channels)")
    return lines


class _Signal(NamedTuple):
    gain: float
    checksum: int | None
    has_sections: bool

    @classmethod
    def of(cls, fields: list[str], number: int) -> "_Signal":
        """Parse the line of a channel: file, format, gain, resolution, zero, first value, checksum, ..., name."""
        match = _FORMAT.fullmatch(fields[1]) if len(fields) > 1 else None
        if match is None or match["format"] not in _FORMATS:
            seen = fields[1] if len(fields) > 1 else "none"
            raise ValueError(
                f"not readable (channel {number} has format {seen}, none of {', '.join(sorted(_FORMATS))})"
            )
        if match["per_frame"] not in (None, "1"):
            raise ValueError(f"channel {number} has {match['per_frame']} samples in a frame, expected 1; resample it")
        gain = _NUMBER.match(fields[2]) if len(fields) > 2 else None
        checksum = fields[6] if len(fields) > 6 else None
        if checksum is not None and not re.fullmatch(r"-?\d{1,10}", checksum):
            raise ValueError(f"not readable (channel {number} has checksum {checksum[:20]}, expected a whole number)")
        value = float(gain[0]) if gain else 0.0
        return cls(
            gain=value if math.isfinite(value) else 0.0,
            checksum=None if checksum is None else int(checksum),
            has_sections=match["format"] in _WITH_SECTIONS and match["skew"] in (None, "0"),
        )
