"""Read labelled instants of a recording: beat annotations, annotations of EDF+ files, or a table of times."""

import os
from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.edf import read_edf_annotations
from multiresconv.data.readers.read_recording import READERS
from multiresconv.data.readers.table import TABLES, read_table
from multiresconv.data.readers.wfdb_annotations import read_wfdb_annotations
from multiresconv.fields import shown

FILE, TIME, LABEL = "file", "time", "label"

_EDF = (".edf", ".bdf")


class Events(NamedTuple):
    """Labelled instants of a recording, in the order of their file."""

    times: NDArray[np.float64]  # (n,) seconds from its beginning; samples where no rate is known
    labels: tuple[str, ...]  # "" where a label is missing
    optional: NDArray[np.bool_]  # (n,) True if an event only counts where its label is asked for: no beat among beats
    places: tuple[str, ...]  # of each in its file, for messages

    def kept(self, keep: Sequence[str] | None, other: str | None) -> NDArray[np.bool_]:
        """Return (n,) True for the events that count.

        Args:
            keep: labels to keep; None keeps all but the optional events.
            other: label of the events without a label to keep, optional ones left out; None leaves all of them out.
        """
        if keep is None:
            return ~self.optional
        asked = np.array([label in keep for label in self.labels], bool)
        return asked if other is None else asked | ~self.optional

    def select(self, chosen: NDArray[np.bool_]) -> "Events":
        """Return the events where `chosen` (n,) is True."""
        labels, places = (tuple(compress(texts, chosen)) for texts in (self.labels, self.places))
        return Events(self.times[chosen], labels, self.optional[chosen], places)

    def renamed(self, keep: Sequence[str] | None, other: str | None) -> "Events":
        """Return the events with the label `other` where their own is not one to keep; None changes nothing."""
        if keep is None or other is None:
            return self
        return self._replace(labels=tuple(label if label in keep else other for label in self.labels))


NO_EVENTS = Events(np.zeros(0), (), np.zeros(0, bool), ())


def event_source(events: str, folder: Path) -> Callable[[Path], Events]:
    """Return a function that reads the events of a recording.

    Args:
        events: the name of a table (.csv, .tsv, .parquet) with columns file, time and label, whose files are relative
            to it. Or the suffix of a file beside each recording: csv, tsv or parquet for a table with columns time and
            label, any other, such as atr, for a WFDB annotation file. Or edf or bdf, for the annotations in an EDF+ or
            BDF+ file itself.
        folder: the folder that the name of a table is relative to.

    Raises:
        OSError: the table cannot be read; or, when the function is called, another file.
        ValueError: the table or file is damaged, or the recording itself has this suffix; the message names the file.
        ModuleNotFoundError: the extra that reads the format is not installed.
    """
    if Path(events).suffix.lower() in TABLES:
        table = folder / events
        of_table = {os.path.abspath(table.parent / file): found for file, found in _of_rows(table, FILE).items()}
        return lambda recording: of_table.get(os.path.abspath(recording), NO_EVENTS)
    return lambda recording: _read(recording, events.removeprefix("."))


def _read(recording: Path, suffix: str) -> Events:
    ending = f".{suffix.lower()}"
    if ending in _EDF:
        times, labels = read_edf_annotations(recording)
        places = tuple(f"{recording}, annotation {number}" for number in range(1, len(labels) + 1))
        return Events(times, labels, np.zeros(len(labels), bool), places)
    if recording.suffix.lower() == ending:
        raise ValueError(
            f"{recording}: expected its events in another file, got the recording itself; write the events of all "
            "recordings in one table with columns file, time and label, and name it, such as beats.csv"
        )
    stem = recording.with_suffix("") if recording.suffix.lower() in READERS else recording
    path = stem.with_name(f"{stem.name}.{suffix}")
    if ending in TABLES:
        return _of_rows(path)[""]
    found = read_wfdb_annotations(path)
    places = tuple(f"{path}, annotation {number}" for number in range(1, len(found.labels) + 1))
    return Events(found.samples / found.rate, found.labels, ~found.is_beat, places)


def _of_rows(path: Path, by: str | None = None) -> dict[str, Events]:
    """Return the events of a table by the texts of a column, all under "" without one."""
    table = read_table(path)
    for name in (TIME, LABEL, by):
        if name is not None and name not in table.columns:
            raise ValueError(f"{path}: expected a column {name!r}, the columns are {', '.join(table.columns)}")
    times, labels = table.numbers(TIME), table.texts(LABEL)
    for row in np.flatnonzero(~(np.isfinite(times) & (times >= 0)))[:1].tolist():
        raise ValueError(f"{table.place(row)}, column {TIME}: expected at least 0 seconds, got {times[row]:g}")
    of = [""] * len(table) if by is None else table.texts(by)
    rows = dict[str, list[int]]()
    for row, name in enumerate(of):
        if by is not None and not name:
            raise ValueError(f"{table.place(row)}, column {by}: expected a recording, got {shown(name)}")
        rows.setdefault(name, []).append(row)
    return {
        name: Events(
            times[chosen],
            tuple(labels[row] for row in chosen),
            np.zeros(len(chosen), bool),
            tuple(table.place(row) for row in chosen),
        )
        for name, chosen in rows.items()
    }
