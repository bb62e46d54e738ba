"""Check the fields of a mapping that was read from a file: their names, types and ranges."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_LARGEST = 2**63 - 1  # larger integers overflow in arrays


class Kind(NamedTuple):
    """A kind of value: its description for messages, and the function that recognises it."""

    description: str
    fits: Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    return type(value) is int and abs(value) <= _LARGEST  # True and False are no integers here


def _is_number(value: Any) -> bool:
    return _is_integer(value) or (type(value) is float and abs(value) <= sys.float_info.max)  # refuses NaN too


COUNT = Kind("an integer of at least 0", lambda value: _is_integer(value) and value >= 0)
POSITION = Kind("an integer of at least 1", lambda value: _is_integer(value) and value >= 1)
NUMBER = Kind("a finite number", _is_number)
AMOUNT = Kind("a finite number of at least 0", lambda value: _is_number(value) and value >= 0)
FLAG = Kind("true or false", lambda value: type(value) is bool)
TEXT = Kind("a text", lambda value: type(value) is str)
MAPPING = Kind("a mapping", lambda value: isinstance(value, dict) and all(type(name) is str for name in value))
ANYTHING = Kind("any value", lambda value: True)


def or_none(kind: Kind) -> Kind:
    return Kind(f"{kind.description}, or null", lambda value: value is None or kind.fits(value))


def either(*kinds: Kind) -> Kind:
    return Kind(" or ".join(kind.description for kind in kinds), lambda value: any(kind.fits(value) for kind in kinds))


def list_of(kind: Kind) -> Kind:
    return Kind(
        f"a list, each element {kind.description}",
        lambda value: isinstance(value, list) and all(kind.fits(element) for element in value),
    )


def check_fields(
    values: Any,
    required: Mapping[str, Kind],
    where: str,
    *,
    optional: Mapping[str, Kind] | None = None,
    others: Kind | None = None,
) -> None:
    """Raise unless `values` is a mapping with the required fields and every field is of its kind.

    Args:
        values: the mapping.
        required: kind of each field that must be present.
        where: beginning of the error message, such as the path of the file.
        optional: kind of each field that may be present.
        others: kind of all fields not named before; None allows no others.

    Raises:
        ValueError: a field is missing, unknown or of another kind; the message names it and shows the value.
    """
    if not MAPPING.fits(values):
        raise ValueError(f"{where}: expected a mapping of {', '.join(required)}, got {shown(values)}")
    for name, kind in required.items():
        if name not in values:
            raise ValueError(f"{where}: {name}: missing, expected {kind.description}")
    for name, value in values.items():
        kind = required.get(name) or (optional or {}).get(name) or others
        if kind is None:
            raise ValueError(
                f"{where}: unknown field {shown(name)}, expected {', '.join((*required, *(optional or ())))}"
            )
        if not kind.fits(value):
            raise ValueError(f"{where}: {shown(name, quoted=False)}: expected {kind.description}, got {shown(value)}")


def shown(value: Any, *, quoted: bool = True) -> str:
    """Return a short text of one line: a number, or the beginning of a text; the name of the type of anything else."""
    if isinstance(value, str):
        text = repr(value if len(value) <= 40 else f"{value[:37]}...")
        return text if quoted else text[1:-1]
    if value is None or isinstance(value, float | bool) or _is_integer(value):
        return repr(value)
    return f"a {type(value).__name__}" if not isinstance(value, int) else f"an integer of {value.bit_length()} bits"
