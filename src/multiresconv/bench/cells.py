"""The cells of a speed table: a measurement, or the reason why it is missing."""

import math
from collections.abc import Iterable, Mapping
from typing import Any


class Cells:
    """Cells by measure, contender and length.

    A cell is a dict for JSON: a time {"median", "low", "high", "repeats"}, a memory {"bytes"}, or {"missing": text},
    with a text of the form "KIND: reason". `table` maps measure -> contender -> length as text -> cell.
    """

    def __init__(self, measures: Iterable[str], names: Iterable[str]) -> None:
        names = list(names)
        self.table: dict[str, dict[str, dict[str, dict[str, Any]]]] = {m: {n: {} for n in names} for m in measures}

    def put(self, measure: str, name: str, length: int, cell: dict[str, Any]) -> None:
        self.table[measure][name][str(length)] = cell

    def leave_out(self, measures: Iterable[str], name: str, length: int, why: str) -> None:
        for measure in measures:
            self.put(measure, name, length, {"missing": why})

    def is_open(self, measure: str, name: str, length: int) -> bool:
        return str(length) not in self.table[measure][name]

    def expected(self, measure: str, name: str, length: int) -> float | None:
        """Extrapolate seconds or bytes from the other lengths; None if nothing was measured."""
        unit = "bytes" if measure == "memory" else "median"
        return extrapolate({int(n): c[unit] for n, c in self.table[measure][name].items() if unit in c}, length)


def extrapolate(known: Mapping[int, float], length: int) -> float | None:
    """Extrapolate to `length` with the growth between the two largest known lengths, limited to linear..quadratic."""
    positive = [(n, value) for n, value in sorted(known.items()) if value > 0]
    if not positive:
        return None
    power = 1.0
    if len(positive) > 1:
        (n1, v1), (n2, v2) = positive[-2:]
        power = min(max(math.log(v2 / v1) / math.log(n2 / n1), 1.0), 2.0)
    last, value = positive[-1]
    return value * (length / last) ** power
