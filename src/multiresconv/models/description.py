"""`Input` and `Output`: descriptions of what a model takes and gives, stored in its folder.

Prediction and streaming need no other knowledge of the task that a model was trained on.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar, get_args

from torch import Tensor

InputKind = Literal["signal", "tokens", "image"]
OutputKind = Literal["class", "labels", "value", "forecast", "density"]
Kind = TypeVar("Kind", bound="Input | Output")


@dataclass(frozen=True)
class Input:
    """Description of a model's input: what one time step contains.

    Args:
        kind: "signal" (samples of channels), "tokens" (symbols of a vocabulary) or "image" (pixels 0 to 255).
        channels: names of the channels of a signal or a pixel, in order.
        unit: unit of a signal, such as "mV"; None if unknown.
        rate: samples per second; None if unknown.
        missing: treatment of missing values; "refuse" raises an error.
        vocabulary: the tokens; the index of a token is its number.
        end: token that ends every sequence, or None.
        ignored: characters to remove from a text before it is split into tokens.
        max_tokens: largest number of tokens of a sequence, the end included; None for no limit.
        syntax: grammar of a text; "listops" means nested expressions, one per line.
        side: height and width of an image in pixels.
        order: index of the pixel that is read at each step, counted row by row; None for row by row.
    """

    kind: InputKind
    channels: tuple[str, ...] = ()
    unit: str | None = None
    rate: float | None = None
    missing: Literal["refuse"] = "refuse"
    vocabulary: tuple[str, ...] = ()
    end: str | None = None
    ignored: str = ""
    max_tokens: int | None = None
    syntax: Literal["listops"] | None = None
    side: int | None = None
    order: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(InputKind):
            raise ValueError(f"input: kind: expected one of {', '.join(get_args(InputKind))}, got {self.kind!r}")

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
    """

    kind: OutputKind
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(OutputKind):
            raise ValueError(f"output: kind: expected one of {', '.join(get_args(OutputKind))}, got {self.kind!r}")

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
    arguments: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return kind(**arguments)
