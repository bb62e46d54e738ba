"""Descriptions of input and output: written and read back, and refused with the name of the field that is wrong."""

import json
from typing import Any

import pytest

from multiresconv.models import Input, Output
from multiresconv.models.description import from_dict, to_dict

INPUTS = [
    Input("signal", ("I", "II"), unit="mV", rate=100, usual=((-1.0, 2.0), (-3.0, 4.5)), missing="hold"),
    Input("signal", ("I",), steps=(7, 90), window=(0.0, 0.5)),
    Input("signal", ("I",)),
    Input("tokens", vocabulary=("a", "b"), end="b", ignored="()", max_tokens=9),
    Input("image", ("grey",), side=2, order=(3, 1, 0, 2)),
]


@pytest.mark.parametrize("input", INPUTS)
def test_what_is_written_is_read(input: Input) -> None:
    assert from_dict(Input, json.loads(json.dumps(to_dict(input)))) == input


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "sound"),
        ("channels", "I"),
        ("channels", ["I", "I"]),
        ("channels", ["I", 1]),
        ("channels", None),
        ("channels", [["I"], "II"]),
        ("unit", 1),
        ("unit", ["mV"]),
        ("rate", "100"),
        ("rate", 0),
        ("rate", -1.0),
        ("rate", float("nan")),
        ("rate", True),
        ("missing", "drop"),
        ("missing", []),
        ("steps", [0, 5]),
        ("steps", [6, 5]),
        ("steps", [5]),
        ("window", [0.1, -0.1]),
        ("window", 0.3),
        ("usual", [[0, 1]]),
        ("usual", [[0, 1], [2, 1]]),
        ("usual", [[0, 1], [0, float("inf")]]),
        ("usual", [[0, 1], 5]),
        ("usual", [[0, 1], ["0", "1"]]),
        ("usual", 3),
        ("vocabulary", ["a", "a"]),
        ("vocabulary", {"a": 1}),
        ("end", "z"),
        ("end", ["z"]),
        ("ignored", 1),
        ("max_tokens", 0),
        ("max_tokens", 2.5),
        ("max_tokens", True),
        ("syntax", "python"),
        ("syntax", []),
        ("side", 0),
        ("side", "28"),
        ("side", 10**9),
        ("order", [0, 1]),
        ("order", ["0"]),
        ("order", 7),
    ],
)
def test_a_wrong_field_of_the_input_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^input: {field}: expected .*, got "):
        from_dict(Input, {"kind": "signal", "channels": ["I", "II"], field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", "sound"), ("names", ["a", "a"]), ("names", [1]), ("names", 1), ("units", ["mV"]), ("units", [1, 2])],
)
def test_a_wrong_field_of_the_output_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^output: {field}: expected .*, got "):
        from_dict(Output, {"kind": "class", "names": ["a", "b"], field: value})


def test_a_field_that_is_nested_deeply_is_named() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match=r"^input: channels: expected .*, got lists nested too deeply"):
        from_dict(Input, {"kind": "signal", "channels": value})


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        from_dict(Input, {"kind": "signal", "colour": 1})
