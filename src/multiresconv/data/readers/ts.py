"""Read `.ts` files of the UCR, UEA and Monash archives."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.fields import is_missing, is_number
from multiresconv.data.readers.recording import MAX_CHANNELS, numbered
from multiresconv.data.readers.sequences import Sequences
from multiresconv.data.readers.text import read_lines
from multiresconv.data.readers.times import parse_date, rate_of
from multiresconv.fields import shown

TARGET = "target"

_OUTSIDE = re.compile(r":(?![^()]*\))")  # a colon that is not between parentheses, where dates have some
_PAIR = re.compile(r"\(([^(),]*),([^(),]*)\)")
_PAIRS = re.compile(rf"\s*{_PAIR.pattern}(?:\s*,\s*{_PAIR.pattern})*\s*")
_SAME = 1e-3  # rates that differ by less, as those of clocks do, are one


def read_ts(path: Path) -> Sequences:
    """Read all sequences of a `.ts` file: univariate or multivariate, of equal or unequal lengths.

    A missing value is "?" or NaN. The last field of a line is the class if the header has `@classLabel true ...`, or a
    number if it has `@targetLabel true`. With `@timeStamps true` a value is written as (time,value), with times in
    seconds or as dates; equally spaced times become the rate, which has to be one for all sequences.

    Raises:
        OSError: the file cannot be read.
        ValueError: the header or a line is malformed, a class is not one of the header, or times are not equally
            spaced; the message names the line.
    """
    lines = enumerate(read_lines(path), start=1)
    header = _read_header(lines, path)
    values, targets, places = list[NDArray[np.float32]](), list[str](), list[str]()
    dimensions, rate = header.dimensions, None
    for number, line in lines:
        text = line.strip()
        if not text or text[0] in "#%":
            continue
        where = f"{path}, line {number}"
        fields = _OUTSIDE.split(text) if header.timestamps else text.split(":")
        if header.target:
            targets.append(_target(fields, header, where))
        dimensions = dimensions or len(fields)
        if not 0 < len(fields) <= MAX_CHANNELS or len(fields) != dimensions:
            raise ValueError(f"{where}: expected {dimensions} dimension(s) between colons, got {len(fields)}")
        if header.timestamps:
            fields, rate = _without_times(fields, rate, where)
        values.append(_sequence(fields, where))
        places.append(f"line {number}")
        if header.length is not None and values[-1].shape[1] != header.length:
            raise ValueError(f"{where}: expected {header.length} values as in the header, got {values[-1].shape[1]}")
    if not values:
        raise ValueError(f"{path}: expected sequences below @data, got none")
    return Sequences(values, numbered(dimensions), {TARGET: targets} if header.target else {}, places, rate)


class _Header(NamedTuple):
    target: bool
    classes: frozenset[str] | None  # None if the target is a number
    dimensions: int  # 0 if not stated
    length: int | None
    timestamps: bool


def _read_header(lines: Iterator[tuple[int, str]], path: Path) -> _Header:
    fields = dict[str, list[str]]()
    for number, line in lines:
        text = line.strip()
        if not text or text[0] in "#%":
            continue
        if text[0] != "@":
            raise ValueError(f"{path}, line {number}: expected a header line with @, or @data, got {shown(text)}")
        name, *rest = text[1:].split()
        if name.casefold() == "data":
            return _header(fields, f"{path}, line {number}")
        fields[name.casefold()] = rest
    raise ValueError(f"{path}: not a .ts file: it has no line @data")


def _header(fields: dict[str, list[str]], where: str) -> _Header:
    def is_true(name: str) -> bool:
        return fields.get(name, [""])[:1] in (["true"], ["True"], ["TRUE"])

    def count(name: str) -> int:
        text = " ".join(fields.get(name, ["0"]))
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise ValueError(f"{where}: @{name}: expected a whole number, got {shown(text)}")
        return int(text)

    labelled, regression = is_true("classlabel"), is_true("targetlabel")
    if labelled and regression:
        raise ValueError(f"{where}: expected either @classLabel true or @targetLabel true, got both")
    classes = frozenset(fields["classlabel"][1:]) if labelled else frozenset()
    dimensions = 1 if is_true("univariate") else max(count("dimensions"), count("dimension"))
    length = count("serieslength") if is_true("equallength") else 0
    return _Header(
        labelled or regression, classes if labelled else None, dimensions, length or None, is_true("timestamps")
    )


def _target(fields: list[str], header: _Header, where: str) -> str:
    """Remove the target from the fields of a line and return it."""
    if len(fields) < 2:
        raise ValueError(f"{where}: expected values, a colon and the target, got no colon")
    text = fields.pop().strip()
    if is_missing(text):
        return ""
    if header.classes is None:
        if not is_number(text):
            raise ValueError(f"{where}: expected a number as target, got {shown(text)}")
    elif header.classes and text not in header.classes:
        known = ", ".join(sorted(header.classes)[:12])
        raise ValueError(f"{where}: expected a class of the header ({known}), got {shown(text)}")
    return text


def _without_times(fields: list[str], rate: float | None, where: str) -> tuple[list[str], float | None]:
    """Return the values of each dimension without their times, and the rate, which has to be that before, if any."""
    values, first = list[str](), None
    for number, field in enumerate(fields, start=1):
        place = f"{where}, dimension {number}"
        if not _PAIRS.fullmatch(field):
            raise ValueError(f"{place}: expected pairs (time,value) between commas, got {shown(field)}")
        pairs = _PAIR.findall(field)
        times = np.array([_time(time.strip(), f"{place}, value {at}") for at, (time, _) in enumerate(pairs, start=1)])
        found = rate_of(times, 1.0, lambda sample, place=place: f"{place}, value {sample + 1}")
        if first is not None and not np.array_equal(times, first):
            raise ValueError(f"{place}: expected the times of dimension 1, got others; resample the dimensions")
        first = times
        if rate is not None and found is not None and abs(found - rate) > _SAME * rate:
            raise ValueError(f"{place}: expected {rate:g} samples a second as before, got {found:g}")
        rate = found if rate is None else rate
        values.append(",".join(value for _, value in pairs))
    return values, rate


def _time(text: str, where: str) -> float:
    try:
        return float(text) if is_number(text) else parse_date(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _sequence(fields: list[str], where: str) -> NDArray[np.float32]:
    rows = [_values(field, f"{where}, dimension {number}") for number, field in enumerate(fields, start=1)]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise ValueError(f"{where}, dimension {number}: expected {len(rows[0])} values as before, got {len(row)}")
    return np.array(rows, np.float32)


def _values(text: str, where: str) -> list[float]:
    cells = text.split(",")
    try:
        if "_" not in text:
            return [float(cell) for cell in cells]
    except ValueError:
        pass
    values = []
    for place, cell in enumerate(map(str.strip, cells), start=1):
        if not is_number(cell) and not is_missing(cell):
            raise ValueError(f"{where}, value {place}: expected a number, got {shown(cell)}")
        values.append(float("nan") if is_missing(cell) else float(cell))
    return values
