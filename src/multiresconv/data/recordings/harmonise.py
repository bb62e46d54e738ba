"""Bring the recordings of a data set to the same channels and units, and hold them to one rate."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.recording import Recording, listed
from multiresconv.data.readers.units import conversion
from multiresconv.data.readers.values import LARGEST
from multiresconv.fields import shown

_SAME_RATE = 1e-3  # rates that differ by less, as those of clocks do, are one


class Harmoniser:
    """Holds all recordings to the first.

    Attributes:
        channels: names of the channels; () before the first recording.
        units: unit of each channel, None where no file states one.
        rate: samples per second, None if no file states it.
        converted: number of recordings whose units were converted.
    """

    def __init__(self) -> None:
        self.channels: tuple[str, ...] = ()
        self.units: list[str | None] = []
        self.rate: float | None = None
        self.converted = 0
        self._first = ""
        self._unit_of: list[str] = []  # name of the recording that stated the unit
        self._rates = Counter[float | None]()
        self._example: dict[float | None, str] = {}

    def __call__(self, recording: Recording, name: str) -> NDArray[np.float32]:
        """Return the signal (time, channels) with the channels and units of the first recording.

        Args:
            recording: the recording.
            name: what it is called in messages.

        Raises:
            ValueError: other channels, a unit that cannot be converted, or a value that is infinite or above 1e18.
        """
        if not self.channels:
            self.channels, self._first, self.rate = recording.channels, name, recording.rate
            self.units = [None] * len(self.channels)
            self._unit_of = [name] * len(self.channels)
        self._count_rate(recording.rate, name)
        order = self._order(recording.channels, name)
        signal = recording.values[order].T
        if recording.units is not None:
            factors = [self._factor(channel, recording.units[place], name) for channel, place in enumerate(order)]
            if any(factor != 1 for factor in factors):
                self.converted += 1
                signal = signal * np.array(factors)
        bad = np.abs(signal) > LARGEST  # NaN is not
        if bad.any():
            sample, channel = (int(index) for index in np.argwhere(bad)[0])
            raise ValueError(
                f"{name}: channel {self.channels[channel]}, sample {sample + 1}: expected a number of at most "
                f"{LARGEST:g}, got {signal[sample, channel]:g}"
            )
        return np.ascontiguousarray(signal, np.float32)

    def check_rates(self) -> None:
        """Raise ValueError if the recordings so far have different rates; the message lists these."""
        if len(self._rates) < 2:
            return
        counts = [
            f"{'unknown' if rate is None else f'{rate:g}'} ({count}, such as {self._example[rate]})"
            for rate, count in self._rates.most_common()
        ]
        raise ValueError(
            f"expected recordings of one rate, got samples per second {listed(counts)}; set the rate that all are "
            "brought to: --data.rate"
        )

    def _count_rate(self, rate: float | None, name: str) -> None:
        if rate is not None:
            known = (seen for seen in self._rates if seen is not None and abs(seen - rate) <= _SAME_RATE * rate)
            rate = next(known, rate)
        self._rates[rate] += 1
        self._example.setdefault(rate, name)

    def _order(self, channels: tuple[str, ...], name: str) -> list[int]:
        """Return the index of each of the first recording's channels among those of another."""
        if channels == self.channels:
            return list(range(len(channels)))
        ours, theirs = ([channel.casefold() for channel in names] for names in (self.channels, channels))
        if sorted(ours) != sorted(theirs):
            raise ValueError(
                f"expected recordings of the same channels: {self._first} has {listed(self.channels)}, {name} has "
                f"{listed(channels)}; choose those that all have: --data.channels"
            )
        return [theirs.index(channel) for channel in ours]

    def _factor(self, channel: int, unit: str | None, name: str) -> float:
        wanted = self.units[channel]
        if unit is None:
            return 1.0
        if wanted is None:
            self.units[channel], self._unit_of[channel] = unit, name
            return 1.0
        factor = conversion(unit, wanted)
        if factor is None:
            raise ValueError(
                f"expected channel {self.channels[channel]} in units that convert: {self._unit_of[channel]} has "
                f"{shown(wanted)}, {name} has {shown(unit)}; convert them, or choose other channels: --data.channels"
            )
        return factor
