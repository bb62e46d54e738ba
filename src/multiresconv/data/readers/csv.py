"""Read a recording from a table of text: a line for each sample, a column for each channel."""

import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.fields import is_missing, is_number, parse_row, parse_rows, split_fields
from multiresconv.data.readers.header import is_header
from multiresconv.data.readers.recording import WHOLE, Recording, Wanted, distinct, numbered
from multiresconv.data.readers.samples import refuse_column_numbers
from multiresconv.data.readers.text import read_lines
from multiresconv.data.readers.times import parse_date, rate_of, seconds_of, time_column

_BLOCK = 1024  # lines that are parsed at once
_WITH_UNIT = re.compile(r"(?P<name>.*?\S)\s*[(\[](?P<unit>[^()\[\]]*)[)\]]")  # "I (uV)", "I [uV]"


def read_csv(path: Path, wanted: Wanted = WHOLE) -> Recording:
    """Read the wanted section of a `.csv`, `.tsv` or `.txt` file.

    Numbers are separated by semicolons, tabs, commas or blanks; empty fields, nan, NA and the like are missing values.
    The first line may be a header of names, which may state units: "I (uV)". A column whose name is one of a time (see
    `readers/times.py`) is no channel: it gives the rate, and has to be equally spaced.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line does not fit (the message names line and column), the times are not equally spaced, or the
            section or a channel is not in the file.
    """
    lines = read_lines(path)
    head = next(lines, "")
    fields = [field.strip("\"' ") for field in split_fields(head)]
    if is_header(fields):
        columns, first = _named(fields, f"{path}, line 1"), 2
    else:
        columns, first = _Columns(numbered(len(fields)), None, 1.0, (None,) * len(fields)), 1
        lines = chain([head] if head else [], lines)
    rows = _rows(lines, columns, path, first)

    def place(sample: int) -> str:
        return f"{path}, line {first + sample}"

    rate, channels = None, list(range(len(columns.names)))
    if columns.time is not None:
        column = columns.time
        channels.remove(column)
        rate = rate_of(rows[:, column], columns.seconds, lambda n: f"{place(n)}, column {column + 1}")
    names = tuple(columns.names[channel] for channel in channels)
    chosen = wanted.columns(names, str(path))
    values = rows[wanted.section(len(rows), rate, str(path))][:, [channels[index] for index in chosen]]
    units = tuple(columns.units[channels[index]] for index in chosen)
    with np.errstate(over="ignore"):  # what is too large is refused by `read_recording`
        values = np.ascontiguousarray(values.T.astype(np.float32))
    return Recording(values, tuple(names[index] for index in chosen), rate, units if any(units) else None)


class _Columns(NamedTuple):
    names: tuple[str, ...]
    time: int | None  # index of the column of times
    seconds: float  # in a unit of that column
    units: tuple[str | None, ...]


def _named(fields: list[str], where: str) -> _Columns:
    if "" in fields:
        raise ValueError(
            f"{where}, column {fields.index('') + 1}: expected a name; if it is an index, write the table without it"
        )
    time = time_column(fields)
    matches = [_WITH_UNIT.fullmatch(field) for field in fields]
    names = [match["name"] if match else field for match, field in zip(matches, fields, strict=True)]
    units = tuple(match["unit"].strip() or None if match else None for match in matches)
    return _Columns(distinct(names), time, seconds_of(fields[time]) or 1.0 if time is not None else 1.0, units)


def _rows(lines: Iterator[str], columns: _Columns, path: Path, first: int) -> NDArray[np.float64]:
    """Parse all lines: (time, columns)."""
    blocks, number = list[NDArray[np.float64]](), first
    parsers: dict[int, Callable[[str], float]] = {}
    while block := list(islice(lines, _BLOCK)):
        if number == first and columns.time is not None:
            fields = split_fields(block[0])
            time = fields[columns.time] if len(fields) > columns.time else ""
            if not is_number(time) and not is_missing(time):
                parsers = {columns.time: parse_date}
        if number == first == 1:
            refuse_column_numbers(parse_row(block[0], columns.names, f"{path}, line 1"), f"{path}, line 1")
        here = number
        blocks.append(
            parse_rows(block, columns.names, lambda n, here=here: f"{path}, line {here + n}", parsers=parsers)
        )
        number += len(block)
    if not blocks:
        raise ValueError(f"{path}: no sample in it; expected a line of numbers for each")
    return np.concatenate(blocks)
