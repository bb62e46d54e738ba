"""Split lines of tables into fields and parse these as numbers. What may mean something else is an error."""

import csv
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from multiresconv.fields import shown

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "?"})

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_BEHIND_COMMA = re.compile(r",\s*[+-]?0\d")  # "0,097" may be a number with a decimal comma


def split_fields(line: str) -> list[str]:
    """Split a line at semicolons, else at tabs, else at commas, else at blanks; strip blanks around each field."""
    delimiter = _delimiter(line)
    if delimiter is None:
        return line.split()
    if '"' in line:
        try:
            return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
        except csv.Error:
            pass  # a field too long for the parser is no number either
    return [field.strip() for field in line.split(delimiter)]


def is_number(field: str) -> bool:
    return _NUMBER.fullmatch(field) is not None or _INFINITE.fullmatch(field) is not None


def is_missing(field: str) -> bool:
    return field.lower() in MISSING


def parse_row(
    line: str, names: Sequence[str], where: str, *, parsers: Mapping[int, Callable[[str], float]] | None = None
) -> list[float]:
    """Parse a line into one number for each name; a missing value becomes NaN.

    Args:
        line: the line.
        names: names of the columns.
        where: beginning of error messages.
        parsers: column, counted from 0 -> what makes a number of its text, for columns that hold no plain numbers.

    Raises:
        ValueError: the line has another number of fields, or a field is not a number; the message begins with `where`.
    """
    if line.isascii() and not _is_doubtful(line):
        fields = line.split(_delimiter(line))
        if len(fields) == len(names):
            try:
                return [float(field) for field in fields]
            except ValueError:
                pass  # `_number` says what is wrong, and knows the words for missing values
    return _parse_fields(line, names, where, parsers or {})


def parse_rows(
    lines: Sequence[str],
    names: Sequence[str],
    place: Callable[[int], str],
    *,
    parsers: Mapping[int, Callable[[str], float]] | None = None,
) -> NDArray[np.float64]:
    """Parse lines into (lines, names) numbers: the result and the errors of `parse_row`, several times as fast.

    Args:
        lines: at least one.
        names: names of the columns.
        place: names a line, counted from 0, at the beginning of error messages.
        parsers: see `parse_row`.
    """
    text = "".join(lines)
    if not parsers and text.isascii() and text.strip() and not _is_doubtful(text):
        try:
            values = np.loadtxt(lines, np.float64, delimiter=_delimiter(lines[0]), comments=None, ndmin=2)
        except ValueError:
            values = np.empty((0, 0))  # the lines are parsed one by one below, which knows words for missing values
        if values.shape == (len(lines), len(names)):
            return values
    return np.array([parse_row(line, names, place(n), parsers=parsers) for n, line in enumerate(lines)], np.float64)


def _is_doubtful(text: str) -> bool:
    """Return True if quotes need the parser of CSV, or a number may not be meant as `float` or NumPy would take it."""
    return '"' in text or "_" in text or "x" in text or "X" in text or _BEHIND_COMMA.search(text) is not None


def _delimiter(line: str) -> str | None:
    return ";" if ";" in line else "\t" if "\t" in line else "," if "," in line else None


def _parse_fields(
    line: str, names: Sequence[str], where: str, parsers: Mapping[int, Callable[[str], float]]
) -> list[float]:
    fields = split_fields(line)
    if len(fields) != len(names):
        raise ValueError(f"{where}: expected {len(names)} number(s), got {_count(line, fields, names)}")
    commas = _delimiter(line) == ","
    return [
        _parsed(field, parsers[column - 1], f"{where}, column {column} ({name})")
        if column - 1 in parsers
        else _number(field, commas, f"{where}, column {column} ({name})")
        for column, (field, name) in enumerate(zip(fields, names, strict=True), start=1)
    ]


def _count(line: str, fields: Sequence[str], names: Sequence[str]) -> str:
    """Describe a wrong number of fields."""
    if not line.strip():
        return "an empty line"
    if len(fields) < len(names):
        return f"{len(fields)}; column {len(fields) + 1} ({names[len(fields)]}) is missing"
    if len(fields) >= 2 * len(names) and _delimiter(line) == ",":
        return f"{len(fields)}; if the commas are decimal commas, write decimal points"
    return f"{len(fields)}; column {len(names) + 1} is one too many"


def _parsed(field: str, parse: Callable[[str], float], where: str) -> float:
    try:
        return parse(field)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _number(field: str, commas: bool, where: str) -> float:
    """Parse one field; `commas` is True if commas separate the fields."""
    if is_missing(field):
        return float("nan")
    if not is_number(field):
        if is_number(field.replace(",", ".")):
            raise ValueError(f"{where}: expected a number with a decimal point, got {shown(field)}")
        raise ValueError(f"{where}: expected a number, got {shown(field)}")
    if commas and re.match(r"[+-]?0\d", field):
        raise ValueError(f"{where}: expected a number, got {shown(field)}; is this the part behind a decimal comma?")
    return float(field)
