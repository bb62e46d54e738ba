"""`SignalCheck`: refuses or holds values that are missing, and watches the range of a signal."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multiresconv.data.readers.channels import Channels

LARGEST = 1e18  # a norm squares values, and the square of a larger one is no float32
FAR = 2.0  # a value is far outside the usual range if it is more than this many widths of the range away from it
NARROW = 0.01  # a signal is narrow if no channel covers this share of its usual range
LEAST = 50  # samples from which on a narrow signal is doubted

Place = Callable[[int, int], str]  # names the place of (sample, channel), both counted from 0


class SignalCheck:
    """Checks a signal block by block.

    Args:
        channels: the channels; they say what to do with missing values and which values are usual.
        place: names a sample and a channel in error messages.

    Attributes:
        length: number of samples so far.
    """

    def __init__(self, channels: Channels, place: Place) -> None:
        self.length = 0
        self._channels, self._place = channels, place
        self._last = np.full(len(channels), np.nan)
        self._low, self._high = np.full(len(channels), np.inf), np.full(len(channels), -np.inf)
        self._held = self._masked = 0
        self._told_far = False

    def __call__(self, block: ArrayLike) -> NDArray[np.float32]:
        """Check the next samples (n, C) and return them, with held values or NaN in the place of missing ones.

        Raises:
            ValueError: a value is NaN, infinite or above LARGEST, and is neither held nor masked.
        """
        with np.errstate(over="ignore"):  # a larger type than float64 may overflow, and is refused below
            values = np.asarray(block, np.float64)
        bad = ~(np.abs(values) <= LARGEST)  # NaN too
        if bad.any():
            values = self._without(values, bad)
        self._last = values[-1]
        self._low = np.fmin(self._low, np.fmin.reduce(values, axis=0))  # fmin and fmax pass over NaN
        self._high = np.fmax(self._high, np.fmax.reduce(values, axis=0))
        self.length += len(values)
        return values.astype(np.float32)

    def far(self) -> str | None:
        """Describe the first channel that is far outside its usual range; at most once in a signal."""
        if self._channels.usual is None or self._told_far:
            return None
        usual = np.array(self._channels.usual)
        margin = FAR * (usual[:, 1] - usual[:, 0])
        outside = (self._low < usual[:, 0] - margin) | (self._high > usual[:, 1] + margin)
        if not outside.any():
            return None
        self._told_far = True
        channel = int(outside.argmax())
        name, unit = self._channels.names[channel], self._channels.unit
        seen = f"{self._low[channel]:.4g} to {self._high[channel]:.4g}"
        low, high = usual[channel]
        expected = f"{low:.4g} to {high:.4g}" + (f" {unit}" if unit else "")
        return f"{name} goes from {seen}, usual is {expected}: another unit, or raw converter counts?"

    def doubts(self) -> list[str]:
        """Describe what is doubtful about the whole signal."""
        doubts = [f"{self._held} missing values held"] if self._held else []
        if self._masked:
            doubts.append(f"{self._masked} missing values")
        if far := self.far():
            doubts.append(far)
        if self.length == 1:
            return [*doubts, "only one sample long"]
        void = [name for name, empty in zip(self._channels.names, self._low > self._high, strict=True) if empty]
        if void:
            doubts.append(f"no value of {', '.join(void[:3])}{', ...' * (len(void) > 3)}")
        flat = [int(channel) for channel in np.flatnonzero(self._low == self._high)]
        if flat:
            names = ", ".join(self._channels.names[channel] for channel in flat[:3]) + ", ..." * (len(flat) > 3)
            doubts.append(f"constant: {names} (at {self._low[flat[0]] + 0.0:.4g})")
        if self._channels.usual is not None and self.length >= LEAST and not void and len(flat) < len(self._channels):
            usual = np.array(self._channels.usual)
            if (self._high - self._low < NARROW * (usual[:, 1] - usual[:, 0])).all():
                doubts.append(f"all channels stay within {NARROW:.0%} of their usual range: another unit?")
        return doubts

    def _without(self, values: NDArray[np.float64], bad: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the values with every bad one replaced by NaN or by the last good one of its channel."""
        if self._channels.missing == "mask":
            self._masked += int(bad.sum())
            return np.where(bad, np.nan, values)
        if self._channels.missing == "refuse":
            sample, channel = (int(index) for index in np.argwhere(bad)[0])
            value = values[sample, channel]
            wrong = "a value is missing" if np.isnan(value) else f"{value:g} is too large"
            raise ValueError(
                f"{self._place(self.length + sample, channel)}: expected a finite number, {wrong}; mend it, or hold "
                "the last good value: --missing hold"
            )
        rows = np.concatenate([self._last[None], values])
        source = np.where(bad, 0, np.arange(1, len(rows))[:, None])
        held = np.take_along_axis(rows, np.maximum.accumulate(source, axis=0), axis=0)
        if np.isnan(held).any():
            sample, channel = (int(index) for index in np.argwhere(np.isnan(held))[0])
            raise ValueError(f"{self._place(self.length + sample, channel)}: no good value yet that could be held")
        self._held += int(bad.sum())
        return held
