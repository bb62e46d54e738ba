"""`Around`: the window around an instant of a recording."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Around(NamedTuple):
    """The window around an instant, in time steps."""

    before: int
    after: int  # the instant itself included

    @classmethod
    def of(cls, before: float, after: float, rate: float | None) -> "Around":
        """Return the window for times in seconds, or in samples if the rate is not known.

        Raises:
            ValueError: the window has less than a sample.
        """
        scale = 1.0 if rate is None else rate
        first, length = round(before * scale), round((before + after) * scale)
        if length < 1:
            at = "" if rate is None else f" s at {rate:g} samples a second"
            raise ValueError(f"before, after: expected a sample between them, got {before:g} and {after:g}{at}")
        return cls(first, length - first)

    @property
    def length(self) -> int:
        return self.before + self.after

    def fits(self, places: NDArray, length: int) -> NDArray[np.bool_]:
        """Return (n,) True where the window around an instant lies inside a recording of `length` time steps."""
        return (places >= self.before) & (places + self.after <= length)
