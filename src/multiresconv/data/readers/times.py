"""Recognise a column of times, parse its fields, and find the sampling rate that it states."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "ns": 1e-9}
_SECONDS |= {"min": 60.0, "minutes": 60.0, "h": 3600.0, "hours": 3600.0}
_NAME = re.compile(
    r"(?P<name>time|times|t|timestamp|timestamps|datetime|date|elapsed|seconds|milliseconds)"
    r"(?:[\s_/]*[(\[]?(?P<unit>" + "|".join(_SECONDS) + r")[)\]]?)?",
    re.IGNORECASE,
)
_NAMED = {"milliseconds": 1e-3}
_LATEST = 1e11  # seconds: the year 5138, or a moment of 1973 in milliseconds
_EQUAL = 0.01  # a step may differ from the mean by this share, and by the rounding of the numbers
_DIGITS = 9


def seconds_of(name: str) -> float | None:
    """Return how many seconds are in one unit of a column of times, or None if the name is not one of a time.

    Names are time, t, timestamp, datetime, date, elapsed, seconds and milliseconds, with or without a unit, such as
    "time (ms)" or "time_s"; case does not matter. Without a unit a time is in seconds.
    """
    match = _NAME.fullmatch(name.strip())
    if match is None:
        return None
    return _SECONDS[match["unit"].lower()] if match["unit"] else _NAMED.get(match["name"].lower(), 1.0)


def time_column(names: Sequence[str]) -> int | None:
    """Return the index of the first column whose name is one of a time, or None."""
    return next((index for index, name in enumerate(names) if seconds_of(name) is not None), None)


def parse_date(text: str) -> float:
    """Return a date and time of ISO 8601 in seconds since 1970; without a time zone it is taken as UTC.

    Raises:
        ValueError: the text is none; the message does not name a place.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"expected a time in seconds or as 2024-01-31T12:00:00.5, got {text[:40]!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def rate_of(times: NDArray[np.float64], seconds: float, place: Callable[[int], str]) -> float | None:
    """Return the samples per second that equally spaced times state; None for a single sample.

    A step between two times may differ from the mean step by 1 % and by the rounding of the written numbers, up to half
    a step. A rate that is a whole number within that rounding becomes that number, as does the time of one step.

    Args:
        times: (n,) in the unit of the column.
        seconds: seconds in that unit.
        place: names the place of a sample, counted from 0, in error messages.

    Raises:
        ValueError: a time is missing, the times do not grow, or they are not equally spaced; the message names the
            sample.
    """
    if not (finite := np.isfinite(times)).all():
        raise ValueError(f"{place(int(np.argmin(finite)))}: expected a time, it is missing or infinite")
    if len(times) < 2:
        return None
    if np.abs(times).max() * seconds > _LATEST:
        raise ValueError(
            f"{place(0)}: expected a time in seconds, got {times[0]:.17g}; write its unit in the name of the column, "
            'such as "timestamp (ms)"'
        )
    steps = np.diff(times)
    step = float(times[-1] - times[0]) / (len(times) - 1)
    resolution = _resolution(times)
    if not (steps > 0).all():
        index = int(np.argmin(steps > 0)) + 1
        raise ValueError(
            f"{place(index)}: expected a time after {times[index - 1]:.17g}, got {times[index]:.17g}; sort the "
            "lines, and remove repeated ones"
        )
    if (np.abs(steps - step) > min(0.5 * step, _EQUAL * step + 1.001 * resolution)).any():
        usual = float(np.median(steps))
        index = int(np.argmax(np.abs(steps - usual))) + 1
        raise ValueError(
            f"{place(index)}: expected equally spaced times, {usual * seconds:g} s apart, got a step of "
            f"{steps[index - 1] * seconds:g} s; resample the recording, or fill the gap with lines without values"
        )
    rate = 1 / (step * seconds)
    error = resolution / float(times[-1] - times[0]) + 1e-12
    for tidy in (round(rate), 1 / max(round(1 / rate), 1)):
        if tidy > 0 and abs(tidy - rate) <= error * rate:
            return float(tidy)
    return rate


def _resolution(times: NDArray[np.float64]) -> float:
    """Return the unit of the last decimal place of the numbers; if they have more than nine, their precision."""
    rounding = 4 * np.finfo(np.float64).eps * float(np.abs(times).max())
    for digits in range(_DIGITS + 1):
        if np.abs(times - np.round(times, digits)).max() <= rounding:
            return 10.0**-digits
    return rounding
