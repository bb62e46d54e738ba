"""Windows around events: labelled instants of recordings, such as beats, each of which becomes a row."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from multiresconv.data.readers.around import Around
from multiresconv.data.readers.events import Events, event_source
from multiresconv.data.readers.recording import listed
from multiresconv.data.recordings.cache import Signals
from multiresconv.data.recordings.labelled import Labelled
from multiresconv.data.recordings.options import TableData, names_of
from multiresconv.data.recordings.parts import in_parts
from multiresconv.data.recordings.rows import Listing, Row
from multiresconv.data.recordings.windows import Windows

LABEL = "label"  # name of the target


def label_events(data: TableData, signals: Signals) -> tuple[Signals, Labelled]:
    """Return a row for each event that the options choose, with the window around it.

    An event whose window sticks out of its recording is left out. Where no column tells the groups, all events of a
    file are one group. If that leaves fewer groups than splits to draw, the files are cut into parts, see `in_parts`.

    Returns:
        The signals, perhaps in parts, and the rows.

    Raises:
        OSError: a file of events cannot be read.
        ValueError: a file of events is damaged, or no event is left; the message names the file.
    """
    around = Around.of(data.before or 0.0, data.after or 0.0, signals.rate)
    read = _read(data, signals.listing.rows)
    remarks = [*read.remarks, *_beyond(read, signals)]
    free, least = _to_draw(data, signals.listing.rows)
    if not signals.listing.grouped and len({signals.listing.rows[index].group for index in free}) < least:
        files = len({signals.listing.rows[index].file for index in free})
        signals = in_parts(signals, free, around.length)
        remarks.append(
            f"{files} recording(s) for {least} splits: cut into parts of equal duration, which are drawn; the scores "
            "tell nothing about other recordings"
        )
    rows, of, starts = list[Row](), list[int](), list[int]()
    outside, without = 0, list[str]()
    for index, (row, length) in enumerate(zip(signals.listing.rows, np.diff(signals.offsets).tolist(), strict=True)):
        if row.file not in read.of_file:
            continue
        events = read.of_file[row.file]
        places = signals.steps(events.times) - int(signals.steps(row.start or 0.0))
        inside = (places >= 0) & (places < length)
        whole = inside & around.fits(places, length)
        outside += int((inside & ~whole).sum())
        if not inside.any():
            without.append(row.name)
        for event in np.flatnonzero(whole).tolist():
            rows.append(row._replace(place=events.places[event], targets=(events.labels[event],)))
            of.append(index)
            starts.append(int(places[event]) - around.before)
    if outside:
        remarks.append(f"{outside} event(s) too close to an end for a whole window, left out")
    if without:
        remarks.append(f"{len(without)} recording(s) without an event: {listed(without)}")
    if not rows:
        raise ValueError(f"{data.table}: events: expected some in the recordings, got none; {'; '.join(remarks)}")
    lengths = np.full(len(rows), around.length, np.int64)
    windows = Windows(np.array(of, np.int64), np.array(starts, np.int64), lengths)
    listing = Listing(rows, (LABEL,), signals.listing.grouped)
    return signals, Labelled(listing, windows, np.arange(len(rows)), tuple(remarks), read.skipped)


class _Read(NamedTuple):
    of_file: dict[str, Events]  # by the path of the recording; only those that the options choose
    remarks: list[str]
    skipped: tuple[tuple[str, str], ...]


def _read(data: TableData, rows: Sequence[Row]) -> _Read:
    """Read the events of all files, and choose by their labels."""
    assert data.events is not None
    source, keep = event_source(data.events, data.table.parent), names_of(data.keep, "keep")
    of_file, skipped, left, seen = dict[str, Events](), list[tuple[str, str]](), Counter[str](), set[str]()
    for file, name in {row.file: row.name for row in rows}.items():
        try:
            events = source(Path(file))
        except (ValueError, FileNotFoundError) as error:
            if not data.skip_unreadable:
                raise
            skipped.append((name, str(error)))
            continue
        is_kept = events.kept(keep, data.other)
        seen |= set(events.labels)
        left += Counter(label for label, kept in zip(events.labels, is_kept.tolist(), strict=True) if not kept)
        of_file[file] = events.select(is_kept).renamed(keep, data.other)
    remarks = []
    if left:
        counts = [f"{label or 'none'} ({count})" for label, count in left.most_common()]
        remarks.append(f"{left.total()} event(s) with labels that are not kept: {listed(counts)}")
    if missing := [label for label in keep or () if label not in seen]:
        remarks.append(f"no event with the label(s) {listed(missing)}")
    return _Read(of_file, remarks, tuple(skipped))


def _beyond(read: _Read, signals: Signals) -> list[str]:
    """Say how many events lie after the end of a whole recording, which a wrong unit of time causes."""
    count = 0
    for row, length in zip(signals.listing.rows, np.diff(signals.offsets).tolist(), strict=True):
        if row.start is None and row.stop is None and row.file in read.of_file:
            count += int((signals.steps(read.of_file[row.file].times) >= length).sum())
    unit = "samples" if signals.rate is None else "seconds"
    return [f"{count} event(s) after the end of their recording, left out; times are in {unit}"] if count else []


def _to_draw(data: TableData, rows: Sequence[Row]) -> tuple[list[int], int]:
    """Return the indices of the rows whose split is drawn, and how many groups that takes at least."""
    given = {row.split for row in rows} - {""}
    if not given:
        return list(range(len(rows))), 1 + (data.val_share > 0) + (data.test_share > 0)
    if "val" in given or not data.val_share:
        return [], 0
    return [index for index, row in enumerate(rows) if row.split == "train"], 2
