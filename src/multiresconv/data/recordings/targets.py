"""Parse the texts of targets: a class, labels or numbers."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.fields import is_number
from multiresconv.data.recordings.rows import Listing, Row
from multiresconv.fields import shown

TargetKind = Literal["class", "labels", "value", "none"]

BETWEEN = ";"  # labels


class Targets(NamedTuple):
    """The targets of all rows."""

    kind: TargetKind
    names: tuple[str, ...]  # of the classes, the labels or the numbers
    values: NDArray  # (rows,) int64 of "class"; (rows, names) float32 of "labels", 0 or 1, and of "value"; (rows, 0)


def parse_targets(listing: Listing, kind: TargetKind, least_classes: int = 2) -> Targets:
    """Parse the targets of all rows.

    "class": one column; its texts in alphabetical order, or as numbers if all are whole numbers, are the classes.
    "labels": one column with labels between semicolons, where an empty cell means none, or several columns of 0 and 1.
    "value": one or several columns of numbers. "none": no column.

    Raises:
        ValueError: a target is missing or malformed (the message names the line), or the columns do not suit the kind.
    """
    rows, columns = listing.rows, listing.targets
    if kind not in get_args(TargetKind):
        raise ValueError(f"kind: expected one of {', '.join(get_args(TargetKind))}, got {kind!r}")
    if kind == "none":
        return Targets(kind, (), np.zeros((len(rows), 0), np.float32))
    if not columns:
        raise ValueError("target: expected the column of the target, got none; set --data.target")
    if kind == "class":
        return _classes(rows, columns, least_classes)
    if kind == "value":
        values = [[_number(row, place, column) for place, column in enumerate(columns)] for row in rows]
        return Targets(kind, columns, np.array(values, np.float32))
    return _labels(rows, columns[0]) if len(columns) == 1 else _flags(rows, columns)


def _classes(rows: Sequence[Row], columns: Sequence[str], least: int) -> Targets:
    if len(columns) > 1:
        raise ValueError(f"target: expected one column of classes, got {', '.join(columns)}; several are labels")
    column = columns[0]
    texts = [_text(row, 0, column) for row in rows]
    names = tuple(sorted(set(texts), key=_in_order(texts)))
    if len(names) < least:
        raise ValueError(f"target: expected at least two classes in column {column}, got {shown(texts[0])} alone")
    numbers = {name: number for number, name in enumerate(names)}
    return Targets("class", names, np.array([numbers[text] for text in texts], np.int64))


def _in_order(texts: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    """Return the key that sorts classes."""
    whole = all(text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() for text in texts)
    return (lambda text: (int(text), text)) if whole else (lambda text: (0, text))


def _labels(rows: Sequence[Row], column: str) -> Targets:
    sets = [{label.strip() for label in row.targets[0].split(BETWEEN)} - {""} for row in rows]
    names = tuple(sorted(set().union(*sets)))
    if not names:
        raise ValueError(f"target: expected labels in column {column}, all rows are empty")
    values = np.array([[name in labels for name in names] for labels in sets], np.float32)
    return Targets("labels", names, values)


def _flags(rows: Sequence[Row], columns: tuple[str, ...]) -> Targets:
    flags = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}
    values = np.zeros((len(rows), len(columns)), np.float32)
    for number, row in enumerate(rows):
        for place, column in enumerate(columns):
            text = _text(row, place, column)
            if text.lower() not in flags:
                raise ValueError(f"{row.place}, column {column}: expected 0 or 1, got {shown(text)}")
            values[number, place] = flags[text.lower()]
    return Targets("labels", columns, values)


def _number(row: Row, place: int, column: str) -> float:
    text = _text(row, place, column)
    if not is_number(text) or not abs(float(text)) < 3e38:
        decimal = " with a decimal point" if is_number(text.replace(",", ".")) and "," in text else ""
        raise ValueError(f"{row.place}, column {column}: expected a finite number{decimal}, got {shown(text)}")
    return float(text)


def _text(row: Row, place: int, column: str) -> str:
    if not row.targets[place]:
        raise ValueError(f"{row.place}, column {column}: expected a target, got none; fill it in, or remove the row")
    return row.targets[place]
