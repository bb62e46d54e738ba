"""Read the windows around the events of a recording."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.around import Around
from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.events import event_source
from multiresconv.data.readers.recording import listed
from multiresconv.data.readers.remarks import Tell
from multiresconv.data.readers.signals import read_selected


class Surroundings(NamedTuple):
    """An event and the window around it."""

    time: float  # of the event in seconds; in samples if the rate is not known
    label: str  # as the file of events says
    signal: NDArray[np.float32]  # (time, channels)


@dataclass(frozen=True)
class WantedEvents:
    """The events to read and the window around each; see `TableData`.

    Args:
        events: a suffix such as atr, or the name of a table.
        before: time from the beginning of the window to the instant, at least 0.
        after: time from the instant to the end of the window, at least 0.
        keep: labels of the events to read; None reads all, but of WFDB annotations only beats.
    """

    events: str
    before: float
    after: float
    keep: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name, value in (("before", self.before), ("after", self.after)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name}: expected at least 0, got {value:g}")


def read_surroundings(path: Path, channels: Channels, wanted: WantedEvents, tell: Tell) -> Iterator[Surroundings]:
    """Yield the windows around the events of a recording, in the order of the events.

    Events whose window sticks out of the recording are left out, and told.

    Args:
        path: the recording.
        channels: what to expect; with `select`.
        wanted: which events, and how much around them.
        tell: takes remarks.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is damaged or does not fit the channels, or no event is left; the message names it.
    """
    signal, rate = read_selected(path, channels, tell)
    found = event_source(wanted.events, Path())(path)
    events = found.select(found.kept(wanted.keep, None))
    if found.labels and not events.labels:
        there = listed(sorted({*found.labels}))
        raise ValueError(f"{path}: expected events to keep, {listed(wanted.keep or ['beats'])}, got only {there}")
    around = Around.of(wanted.before, wanted.after, rate)
    places = np.round(events.times * (1.0 if rate is None else rate))
    whole = around.fits(places, len(signal))
    if outside := int((~whole).sum()):
        tell(f"{outside} event(s) too close to an end for a whole window, left out")
    if not whole.any():
        raise ValueError(f"{path}: expected events with whole windows in the recording, got none of {len(whole)}")
    for event in np.flatnonzero(whole).tolist():
        start = int(places[event]) - around.before
        yield Surroundings(float(events.times[event]), events.labels[event], signal[start : start + around.length])
