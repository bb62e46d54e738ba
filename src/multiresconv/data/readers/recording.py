"""`Recording`: what every reader of users' recordings returns, and `Wanted`: which part of a file to return."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.fields import shown

MAX_CHANNELS = 4096  # more is an array that lies on its side
_LISTED = 12  # names in one message


class Recording(NamedTuple):
    """A multichannel recording."""

    values: NDArray[np.float32]  # (channels, time), NaN where a value is missing
    channels: tuple[str, ...]  # their names, all different
    rate: float | None  # samples per second; None if the file does not state it
    units: tuple[str | None, ...] | None  # unit of each channel; None if the file states no unit at all


class Wanted(NamedTuple):
    """The part of a recording to read.

    Attributes:
        channels: names of the channels in the order to return; case does not matter; None means all of them.
        rate: samples per second to return; None keeps the rate of the file. A file that states no rate is taken to
            have this one.
        start: beginning of the section, in seconds; in samples if the rate is not known. None is the beginning.
        stop: end of the section, in the same unit, not included. None is the end.
    """

    channels: tuple[str, ...] | None = None
    rate: float | None = None
    start: float | None = None
    stop: float | None = None

    def section(self, length: int, rate: float | None, where: str) -> slice:
        """Return the samples of the section in a file of `length` samples and `rate` samples per second.

        Raises:
            ValueError: the section is empty or reaches beyond the end; the message begins with `where`.
        """
        if length < 1:
            raise ValueError(f"{where}: no sample in it")
        rate = rate if rate is not None else self.rate
        scale, unit = (1.0, "samples") if rate is None else (rate, "seconds")
        end = f"the recording has {length / scale:g} {unit}"
        for name, value in (("start", self.start), ("stop", self.stop)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{where}: {name}: expected at least 0 {unit}, got {value:g}")
        start = 0 if self.start is None else round(self.start * scale)
        stop = length if self.stop is None else round(self.stop * scale)
        if start >= length:
            raise ValueError(f"{where}: start: expected less than the end, {end}, got {self.start:g}")
        if stop > length + 1:  # one more is a matter of rounding
            raise ValueError(f"{where}: stop: expected at most the end, {end}, got {self.stop:g}")
        if stop <= start:
            raise ValueError(f"{where}: stop: expected more than start, {start / scale:g} {unit}, got {stop / scale:g}")
        return slice(start, min(stop, length))

    def columns(self, names: Sequence[str], where: str) -> list[int]:
        """Return the indices of the wanted channels among the names.

        Raises:
            ValueError: a channel is not there, comes twice among the names or is wanted twice, or there are too many.
        """
        if not 0 < len(names) <= MAX_CHANNELS:
            turned = "; transpose it" if names else ""
            raise ValueError(f"{where}: expected 1 to {MAX_CHANNELS} channels, got {len(names)}{turned}")
        if self.channels is None:
            return list(range(len(names)))
        folded = [name.strip().casefold() for name in names]
        columns = []
        for channel in self.channels:
            if (count := folded.count(channel.strip().casefold())) != 1:
                got = f"{count} channels have this name" if count else "there is none of this name"
                raise ValueError(f"{where}: expected channel {shown(channel)}, {got}; the channels are {listed(names)}")
            columns.append(folded.index(channel.strip().casefold()))
        if len(set(columns)) < len(columns) or not columns:
            raise ValueError(f"{where}: channels: expected different names, got {', '.join(self.channels) or 'none'}")
        return columns


WHOLE = Wanted()


def numbered(count: int) -> tuple[str, ...]:
    """Return the names of channels that have none: "channel 1", "channel 2", ..."""
    return tuple(f"channel {number}" for number in range(1, count + 1))


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Number repeated names: ("EEG", "EEG") becomes ("EEG", "EEG (2)"). An empty name becomes "channel 3"."""
    found = dict[str, str]()  # in lower case -> as it is
    for place, given in enumerate(names, start=1):
        name = given.strip() or f"channel {place}"
        candidates = (name, *(f"{name} ({number})" for number in range(2, len(names) + 2)))
        free = next(candidate for candidate in candidates if candidate.casefold() not in found)
        found[free.casefold()] = free
    return tuple(found.values())


def listed(names: Sequence[str]) -> str:
    """Join names for a message, the first dozen of many."""
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
