"""Convert between units that differ in their prefix, such as uV and mV."""

from collections.abc import Sequence

_EXPONENTS = {"": 0, "n": -9, "u": -6, "\u00b5": -6, "\u03bc": -6, "m": -3, "k": 3}  # both characters for micro
_BASES = ("V", "A", "g", "Pa", "T", "Hz", "m", "s")


def conversion(given: str, wanted: str) -> float | None:
    """Return how many units `wanted` are in one unit `given`, or None if there is no conversion.

    The prefix is case-sensitive, the rest is not: "mv" is a millivolt, "MV" is not.
    """
    if given == wanted:
        return 1.0
    ours, theirs = _parse(wanted), _parse(given)
    if ours is None or theirs is None or ours[1] != theirs[1]:
        return None
    return 10.0 ** (theirs[0] - ours[0])


def conversions(given: Sequence[str | None], wanted: str) -> str | None:
    """Describe the conversions of columns in one phrase, or return None if all are in the wanted unit already."""
    foreign = [unit for unit in dict.fromkeys(given) if unit is not None and conversion(unit, wanted) != 1.0]
    return f"converted from {', '.join(foreign)} to {wanted}" if foreign else None


def _parse(unit: str) -> tuple[int, str] | None:
    """Return the exponent of ten of the prefix, and the base, or None for an unknown unit."""
    for base in _BASES:
        prefix = unit.removesuffix(unit[-len(base) :])
        if unit[-len(base) :].lower() == base.lower() and prefix in _EXPONENTS:
            return _EXPONENTS[prefix], base
    return None
