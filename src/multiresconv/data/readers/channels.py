"""`Channels`: what a reader expects of the channels of a signal."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Channels:
    """The channels of a signal, in the order of the columns.

    Args:
        names: their names.
        unit: unit of the values; None if unknown, then the unit of a file is not checked.
        rate: samples per second; None if unknown, then the rate of a file is not checked.
        usual: usual lowest and highest value of each channel; None if unknown.
        named: False if the names are only numbers given by default, then the names in a file are not checked.
        missing: "refuse" makes a missing value an error, "hold" repeats the last good value of the channel, "mask"
            leaves NaN in its place.
        select: take these channels out of a recording that may have others, and bring it to `rate`; False refuses such
            a file.
    """

    names: tuple[str, ...]
    unit: str | None = None
    rate: float | None = None
    usual: tuple[tuple[float, float], ...] | None = None
    named: bool = True
    missing: Literal["refuse", "hold", "mask"] = "refuse"
    select: bool = False

    def __len__(self) -> int:
        return len(self.names)
