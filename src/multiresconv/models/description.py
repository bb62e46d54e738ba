"""`Input` and `Output`: what goes into a model and what comes out, in words, as its folder keeps them.

Whoever has a model reads these and nothing else: prediction, streams, estimators, exported files, web pages.
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
    """What one time step of the input is.

    Args:
        kind: "signal" (samples of channels), "tokens" (symbols of a vocabulary) or "image" (pixels 0 to 255).
        channels: names of the channels of a signal or of a pixel, in their order.
        unit: of a signal, such as "mV"; None where it is not known.
        rate: samples a second; None where it is not known.
        missing: what a missing value does; "refuse" is an error.
        vocabulary: the token of each number, from 0.
        end: token that ends every sequence, or None.
        ignored: characters that are dropped from a text before it is cut into tokens.
        max_tokens: tokens of the longest sequence, the end included; None for no limit.
        syntax: how a text must be formed; "listops" are nested expressions, one a line.
        side: height and width of an image in pixels.
        order: which pixel is read at each step, numbered row after row; None is that order.
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
    def size(self) -> int:
        """Number of channels, or size of the vocabulary."""
        return len(self.vocabulary if self.kind == "tokens" else self.channels)


@dataclass(frozen=True)
class Output:
    """What a model says of a sequence.

    Args:
        kind: "class" (one of the names), "labels" (any of them), "value", "forecast" or "density".
        names: of the classes, labels or values, in their order.
        units: of values; one for each name, or none.
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
            ValueError: outputs that are no probabilities.
        """
        if self.kind == "class":
            return logits.float().softmax(-1)
        if self.kind == "labels":
            return logits.float().sigmoid()
        raise ValueError(f"output: a model of kind {self.kind!r} gives no probabilities")


def numbered(name: str, count: int) -> tuple[str, ...]:
    """Names for what nobody named: "channel 1", "channel 2", ..."""
    return tuple(f"{name} {number}" for number in range(1, count + 1))


def to_dict(description: Input | Output) -> dict[str, Any]:
    """A description as JSON has it, defaults left out."""
    values = asdict(description)
    default = {field.name: field.default for field in fields(description)}
    kept = {name: value for name, value in values.items() if value != default[name]}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}


def from_dict(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """The inverse of `to_dict`.

    Raises:
        TypeError, ValueError: an unknown name, or a value of another type.
    """
    arguments: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return kind(**arguments)
