"""`Input` and `Output`: descriptions of what a model takes and gives, stored in its folder.

Prediction and streaming need no other knowledge of the task that a model was trained on.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar, get_args

from torch import Tensor

InputKind = Literal["signal", "tokens", "image"]
OutputKind = Literal["class", "labels", "value", "forecast", "density"]
Missing = Literal["refuse", "hold", "mask"]
Kind = TypeVar("Kind", bound="Input | Output")

_LARGEST_SIDE = 1 << 14  # pixels; the sequence of a larger image would have over 2^28 steps


@dataclass(frozen=True)
class Input:
    """Description of a model's input: what one time step contains.

    Args:
        kind: "signal" (samples of channels), "tokens" (symbols of a vocabulary) or "image" (pixels 0 to 255).
        channels: names of the channels of a signal or a pixel, in order.
        unit: unit of a signal, such as "mV"; None if unknown.
        rate: samples per second; None if unknown.
        missing: treatment of missing values of a signal: "refuse" raises an error, "hold" repeats the last good value,
            "mask" gives them to the model as NaN.
        reading: "select" takes the named channels out of a recording and brings them to `rate`; "exact" refuses a file
            with other channels or another rate.
        usual: lowest and highest value of each channel of a signal in usual training rows; None if unknown. Readers
            doubt values far outside.
        steps: fewest and most time steps of a training row; None if unknown. Readers doubt much shorter or longer rows.
        window: time before and after the event around which each training row was cut, in seconds, in samples without a
            rate; None if the rows were no such windows.
        vocabulary: the tokens; the index of a token is its number.
        end: token that ends every sequence, or None.
        ignored: characters to remove from a text before it is split into tokens.
        max_tokens: largest number of tokens of a sequence, the end included; None for no limit.
        syntax: grammar of a text; "listops" means nested expressions, one per line.
        side: height and width of an image in pixels.
        order: index of the pixel that is read at each step, counted row by row; None for row by row.

    Raises:
        ValueError: a field has a wrong type, is out of range, or contradicts another; the message names it.
    """

    kind: InputKind
    channels: tuple[str, ...] = ()
    unit: str | None = None
    rate: float | None = None
    missing: Missing = "refuse"
    reading: Literal["exact", "select"] = "exact"
    usual: tuple[tuple[float, float], ...] | None = None
    steps: tuple[int, int] | None = None
    window: tuple[float, float] | None = None
    vocabulary: tuple[str, ...] = ()
    end: str | None = None
    ignored: str = ""
    max_tokens: int | None = None
    syntax: Literal["listops"] | None = None
    side: int | None = None
    order: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(InputKind):
            raise ValueError(f"input: kind: expected one of {', '.join(get_args(InputKind))}, got {_shown(self.kind)}")
        for name, (fits, expected) in self._rules().items():
            if not fits:
                raise ValueError(f"input: {name}: expected {expected}, got {_shown(getattr(self, name))}")

    def _rules(self) -> dict[str, tuple[bool, str]]:
        """Return field -> (whether it is valid, what is expected)."""
        return {
            "channels": (_are_names(self.channels), "different texts"),
            "unit": (self.unit is None or isinstance(self.unit, str), "a text or None"),
            "rate": (self.rate is None or (_is_finite(self.rate) and self.rate > 0), "a number above 0 or None"),
            "missing": (self.missing in get_args(Missing), " or ".join(get_args(Missing))),
            "reading": (self.reading in ("exact", "select"), "exact or select"),
            "usual": (
                self.usual is None or _are_ranges(self.usual, self.channels),
                "(lowest, highest) for each channel, or None",
            ),
            "steps": (self.steps is None or _are_counts(self.steps), "(fewest, most) or None"),
            "window": (self.window is None or _are_times(self.window), "(before, after), at least 0, or None"),
            "vocabulary": (_are_names(self.vocabulary), "different texts"),
            "end": (self.end is None or _holds(self.vocabulary, self.end), "a token of the vocabulary or None"),
            "ignored": (isinstance(self.ignored, str), "a text"),
            "max_tokens": (self.max_tokens is None or _is_count(self.max_tokens), "a whole number above 0 or None"),
            "syntax": (self.syntax in (None, "listops"), "listops or None"),
            "side": (self.side is None or _is_side(self.side), f"a whole number from 1 to {_LARGEST_SIDE} or None"),
            "order": (
                self.order is None or _is_order(self.order, self.side),
                "each pixel of the image once, or None",
            ),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels, or the vocabulary."""
        return self.vocabulary if self.kind == "tokens" else self.channels

    @property
    def named(self) -> bool:
        """False if the names are only the numbers that models give by default."""
        return self.names not in (numbers(self.size), numbered("channel", self.size))

    @property
    def size(self) -> int:
        """Number of channels, or size of the vocabulary."""
        return len(self.names)


@dataclass(frozen=True)
class Output:
    """Description of a model's output.

    Args:
        kind: "class" (exactly one of the names), "labels" (any number of them), "value", "forecast" or "density".
        names: names of the classes, labels or values, in order.
        units: units of the values, one for each name, or empty.
        horizon: number of steps of a forecast; None for other kinds.
        quantiles: increasing probabilities of the quantiles of a forecast; empty for a point forecast.
    """

    kind: OutputKind
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    horizon: int | None = None
    quantiles: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(OutputKind):
            raise ValueError(
                f"output: kind: expected one of {', '.join(get_args(OutputKind))}, got {_shown(self.kind)}"
            )
        if not _are_names(self.names):
            raise ValueError(f"output: names: expected different texts, got {_shown(self.names)}")
        if not all(isinstance(unit, str) for unit in self.units) or len(self.units) not in (0, len(self.names)):
            raise ValueError(f"output: units: expected a text for each name, or none, got {_shown(self.units)}")
        if _is_count(self.horizon) != (self.kind == "forecast"):
            raise ValueError(
                "output: horizon: expected a whole number above 0 for a forecast, else None, "
                f"got {_shown(self.horizon)}"
            )
        if not _are_probabilities(self.quantiles) or (self.quantiles and self.kind != "forecast"):
            raise ValueError(
                "output: quantiles: expected increasing numbers between 0 and 1 for a forecast, or none, "
                f"got {_shown(self.quantiles)}"
            )

    def probabilities(self, logits: Tensor) -> Tensor:
        """Turn logits (..., C) into the probability of each name, in float32.

        Raises:
            ValueError: the model is of a kind that gives no probabilities.
        """
        if self.kind == "class":
            return logits.float().softmax(-1)
        if self.kind == "labels":
            return logits.float().sigmoid()
        raise ValueError(f"output: a model of kind {self.kind!r} gives no probabilities")


def numbers(count: int) -> tuple[str, ...]:
    """Return the default names of tokens and classes: "0", "1", ..."""
    return tuple(map(str, range(count)))


def numbered(name: str, count: int) -> tuple[str, ...]:
    """Return numbered default names: "channel 1", "channel 2", ..."""
    return tuple(f"{name} {number}" for number in range(1, count + 1))


def to_dict(description: Input | Output) -> dict[str, Any]:
    """Return a description as values for JSON, without defaults."""
    values = asdict(description)
    default = {field.name: field.default for field in fields(description)}
    kept = {name: value for name, value in values.items() if value != default[name]}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}


def from_dict(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """Build a description of class `kind` from the result of `to_dict`.

    Raises:
        TypeError, ValueError: a name is unknown, or a value has the wrong type.
    """
    arguments: dict[str, Any] = {name: _as_tuple(value) for name, value in values.items()}
    return kind(**arguments)


def _as_tuple(value: Any) -> Any:
    """Turn a list, and the lists in it, into tuples."""
    if not isinstance(value, list):
        return value
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _are_names(names: Any) -> bool:
    return isinstance(names, tuple) and all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_ranges(ranges: Any, channels: Any) -> bool:
    return _same_length(ranges, channels) and all(
        isinstance(pair, tuple) and len(pair) == 2 and all(map(_is_finite, pair)) and pair[0] <= pair[1]
        for pair in ranges
    )


def _are_counts(pair: Any) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and all(map(_is_count, pair)) and pair[0] <= pair[1]


def _are_times(pair: Any) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and all(_is_finite(time) and time >= 0 for time in pair)


def _are_probabilities(values: Any) -> bool:
    if not isinstance(values, tuple) or not all(_is_finite(value) and 0 < value < 1 for value in values):
        return False
    return all(low < high for low, high in itertools.pairwise(values))


def _same_length(values: Any, others: Any) -> bool:
    return isinstance(values, tuple) and isinstance(others, tuple) and len(values) == len(others)


def _holds(vocabulary: Any, token: Any) -> bool:
    return isinstance(vocabulary, tuple) and token in vocabulary


def _is_side(side: Any) -> bool:
    return _is_count(side) and side <= _LARGEST_SIDE


def _is_order(order: Any, side: Any) -> bool:
    if not isinstance(order, tuple) or not _is_side(side) or len(order) != side**2:
        return False
    return all(type(place) is int for place in order) and sorted(order) == list(range(len(order)))


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        return "lists nested too deeply"
    return text if len(text) <= 80 else text[:77] + "..."
