"""Fields that were read from a file have the names and kinds that were asked for, or an error names one."""

import math
from typing import Any

import pytest
import torch

from multiresconv.fields import (
    AMOUNT,
    COUNT,
    FLAG,
    MAPPING,
    NUMBER,
    POSITION,
    TEXT,
    Kind,
    check_fields,
    either,
    list_of,
    or_none,
    shown,
)

VALUES: list[Any] = [0, 1, -1, True, 0.0, 2.5, -2.5, math.nan, math.inf, 2**63, 10**400, "a", None, [], [1], {}, {1: 2}]


@pytest.mark.parametrize(
    ("kind", "fitting"),
    [
        (COUNT, [0, 1]),
        (POSITION, [1]),
        (NUMBER, [0, 1, -1, 0.0, 2.5, -2.5]),
        (AMOUNT, [0, 1, 0.0, 2.5]),
        (FLAG, [True]),
        (TEXT, ["a"]),
        (MAPPING, [{}]),
        (or_none(COUNT), [0, 1, None]),
        (either(COUNT, TEXT), [0, 1, "a"]),
        (list_of(COUNT), [[], [1]]),
    ],
)
def test_kinds_recognise_their_values(kind: Kind, fitting: list[Any]) -> None:
    assert [value for value in VALUES if kind.fits(value)] == fitting


def test_the_field_and_its_value_are_named() -> None:
    check_fields({"a": 1, "b": "x", "c": 2}, {"a": COUNT}, "f", optional={"b": TEXT}, others=NUMBER)
    with pytest.raises(ValueError, match=r"^f: a: missing, expected an integer of at least 0$"):
        check_fields({}, {"a": COUNT}, "f")
    with pytest.raises(ValueError, match=r"^f: a: expected an integer of at least 0, got -3$"):
        check_fields({"a": -3}, {"a": COUNT}, "f")
    with pytest.raises(ValueError, match=r"^f: unknown field 'b', expected a$"):
        check_fields({"a": 3, "b": 1}, {"a": COUNT}, "f")
    with pytest.raises(ValueError, match=r"^f: expected a mapping of a, got a list$"):
        check_fields([], {"a": COUNT}, "f")


@pytest.mark.parametrize(
    "value",
    [*VALUES, "line\nline", "x" * 10_000, 10**10_000, [[]] * 1000, torch.ones(50, 50)],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_shown_in_one_short_line(value: Any) -> None:
    assert len(shown(value)) < 60
    assert "\n" not in shown(value)
