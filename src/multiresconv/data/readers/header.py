"""Check the header of a table against the channels that the model expects."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.fields import is_missing, is_number
from multiresconv.data.readers.remarks import Tell
from multiresconv.data.readers.units import conversion, conversions
from multiresconv.fields import shown

_UNIT_IN_BRACKETS = re.compile(r".*?\s*[(\[]([^()\[\]]*)[)\]]")


def is_header(fields: Sequence[str]) -> bool:
    """Return True if the fields of a first line are names: none is a number, and not all are missing values."""
    return any(not is_missing(field) for field in fields) and not any(is_number(field) for field in fields)


def check_header(fields: Sequence[str], channels: Channels, where: str, tell: Tell) -> NDArray[np.float64]:
    """Check names and units of the columns; return the factor (C,) that brings each column to the expected unit.

    A name may be followed by a unit: "I (uV)", "I [uV]", "I/uV", "I_uV" or "I uV". Case does not matter in names.

    Raises:
        ValueError: the names differ in number, order or spelling, or a unit cannot be converted; the message begins
            with `where`.
    """
    fields = [field.strip("\"' ") for field in fields]
    expected = ", ".join(channels.names)
    if len(fields) != len(channels):
        raise ValueError(f"{where}: expected a header of {len(channels)} columns, {expected}; got {len(fields)}")
    found = [_unit(field, name, channels.named) for field, name in zip(fields, channels.names, strict=True)]
    if None in found:
        column = found.index(None)
        if sorted(map(str.casefold, fields)) == sorted(map(str.casefold, channels.names)):
            raise ValueError(f"{where}: expected the columns in the order {expected}, got {', '.join(fields)}")
        raise ValueError(
            f"{where}, column {column + 1}: expected channel {channels.names[column]}, got {shown(fields[column])}; "
            f"the columns are {expected}"
        )
    units = [unit or None for unit in found]
    factors = np.ones(len(units))
    if channels.unit is None:
        return factors
    for column, unit in enumerate(units):
        factor = 1.0 if unit is None else conversion(unit, channels.unit)
        if factor is None:
            raise ValueError(
                f"{where}, column {column + 1} ({channels.names[column]}): expected the unit {channels.unit}, "
                f"got {shown(str(unit))}; convert the values"
            )
        factors[column] = factor
    if remark := conversions(units, channels.unit):
        tell(remark)
    return factors


def _unit(field: str, name: str, named: bool) -> str | None:
    """Return the unit in a field of the header, "" if it has none, or None if the field has another name."""
    if not named:
        match = _UNIT_IN_BRACKETS.fullmatch(field)
        return match[1].strip() if match else ""
    rest = field[len(name) :]
    if field[: len(name)].casefold() != name.casefold() or (rest and rest[0] not in " _/,:([-"):
        return None
    return rest.strip(" _/,:()[]-")
