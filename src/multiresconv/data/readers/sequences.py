"""`Sequences`: what readers of files with many labelled sequences return."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Sequences(NamedTuple):
    """Sequences of equal channels and any lengths with their targets."""

    values: list[NDArray[np.float32]]  # of each (channels, time), NaN where a value is missing
    channels: tuple[str, ...]
    targets: dict[str, list[str]]  # name of a target -> its text for each sequence, "" if missing; {} without targets
    places: list[str]  # of each sequence in the file, for messages: "line 12"
    rate: float | None = None  # samples per second; None if the file does not state it
