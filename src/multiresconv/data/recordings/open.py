"""Open users' recordings as a data set with three splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiresconv.data.readers.recording import listed
from multiresconv.data.recordings.assign import Assignment, assign, check_groups
from multiresconv.data.recordings.cache import Signals, open_signals
from multiresconv.data.recordings.events import label_events
from multiresconv.data.recordings.labelled import label_recordings
from multiresconv.data.recordings.options import TableData
from multiresconv.data.recordings.rows import Listing, Row
from multiresconv.data.recordings.split import RecordingSplit
from multiresconv.data.recordings.strata import strata
from multiresconv.data.recordings.targets import TargetKind, Targets, parse_targets
from multiresconv.data.recordings.windows import Windows
from multiresconv.data.say import say_once
from multiresconv.data.splits import SPLITS, Split, check_split

_LISTED = 20  # unreadable recordings in one message


@dataclass(frozen=True)
class RecordingSet:
    """A data set of recordings.

    Args:
        data: the options it was opened with.
        channels: names of the channels.
        units: unit of each channel, None where it is not known.
        rate: samples per second, None if it is not known.
        targets: of the rows.
        recordings: name of each recording.
        groups: group of each row.
        assigned: split of each row.
        skipped: name and reason of each recording that was left out.
        remarks: what to know about the data, a line each.
        signals: of all recordings, memory-mapped.
        windows: the rows; each recording is one if neither a window nor events are set.
    """

    data: TableData
    channels: tuple[str, ...]
    units: tuple[str | None, ...]
    rate: float | None
    targets: Targets
    recordings: tuple[str, ...]
    groups: tuple[str, ...]
    assigned: tuple[Split, ...]
    skipped: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    signals: Signals
    windows: Windows

    def split(self, split: Split) -> RecordingSplit:
        """Return the rows of a split, in the order of the table.

        Raises:
            ValueError: an unknown split, or one without rows.
        """
        check_split(split)
        rows = np.flatnonzero(np.array([name == split for name in self.assigned]))
        if not len(rows):
            raise ValueError(
                f"{self.data.table}: expected rows of split {split!r}, got none; add them to the column of the splits"
                f"{'' if split == 'train' else f', or set --data.{split}_share'}"
            )
        of = self.windows.recordings[rows]
        return RecordingSplit(
            self.signals.values,
            self.signals.offsets[of] + self.windows.starts[rows],
            self.windows.lengths[rows],
            self.targets._replace(values=self.targets.values[rows]),
            [self._name(int(row)) for row in rows],
            [self.groups[row] for row in rows],
        )

    def assignment(self) -> dict[str, Any]:
        """Return split -> names of its recordings, ready for JSON, so that a run can write down what it drew."""
        of_split = {split: dict[str, None]() for split in SPLITS}
        for recording, split in zip(self.windows.recordings.tolist(), self.assigned, strict=True):
            of_split[split][self.recordings[recording]] = None
        return {split: list(names) for split, names in of_split.items()}

    def _name(self, row: int) -> str:
        recording = int(self.windows.recordings[row])
        start, length = int(self.windows.starts[row]), int(self.windows.lengths[row])
        name = self.recordings[recording]
        if length == int(np.diff(self.signals.offsets[recording : recording + 2])[0]):
            return name
        scale, unit = (1.0, "samples") if self.rate is None else (self.rate, "s")
        return f"{name}, window {start / scale:g} to {(start + length) / scale:g} {unit}"


def open_recordings(data: TableData, kind: TargetKind, *, least_classes: int = 2) -> RecordingSet:
    """Open users' recordings; the first call reads all of them into a cache. Any number of processes may call it.

    Unreadable recordings that are left out and other remarks are listed on standard error.

    Args:
        data: where the recordings are, and how to cut and split them.
        kind: "class" (one column of classes), "labels" (one column with labels between semicolons, or several columns
            of 0 and 1), "value" (columns of numbers) or "none".
        least_classes: smallest number of classes; 1 for rows that are only scored.

    Raises:
        FileNotFoundError: the table or a recording does not exist.
        ValueError: an option is out of range, the table or a recording is malformed, the recordings do not fit
            together, or there are too few for the splits; the message names the place.
        OSError: a file cannot be read, or the cache cannot be written.
        ModuleNotFoundError: an extra that reads one of the files is not installed.
    """
    data.check()
    if not data.table.exists():
        raise FileNotFoundError(f"{data.table}: no such file; expected a table of recordings, --data.table")
    if kind == "none" and data.target is not None:
        raise ValueError(f"target: expected none for this task, got {data.target!r}; leave it out")
    if kind == "none" and data.events is not None:
        raise ValueError("events: expected none for this task; leave them out")
    signals = open_signals(data)
    if data.events is None:
        labelled = label_recordings(data, signals)
    else:
        signals, labelled = label_events(data, signals)
    rows = labelled.listing.rows
    targets = parse_targets(labelled.listing, kind, least_classes)
    assigned = _assign(data, labelled.listing, targets)
    remarks = [*assigned.remarks, *_shared(rows), *labelled.remarks]
    if signals.converted:
        units = ", ".join(sorted({unit for unit in signals.units if unit}))
        remarks.append(f"{signals.converted} recording(s) converted to {units}")
    opened = RecordingSet(
        data=data,
        channels=signals.channels,
        units=signals.units,
        rate=signals.rate,
        targets=targets._replace(values=targets.values[labelled.of]),
        recordings=tuple(row.name for row in signals.listing.rows),
        groups=tuple(rows[row].group for row in labelled.of),
        assigned=tuple(SPLITS[split] for split in assigned.splits[labelled.of]),
        skipped=(*signals.skipped, *labelled.skipped),
        remarks=tuple(remarks),
        signals=signals,
        windows=labelled.windows,
    )
    _tell(opened)
    return opened


def _assign(data: TableData, listing: Listing, targets: Targets) -> Assignment:
    """Return the split of each row of the listing."""
    groups, given = [row.group for row in listing.rows], [row.split for row in listing.rows]
    try:
        if listing.grouped:
            check_groups(groups, given)
        return assign(
            groups,
            given,
            strata(targets),
            targets.names if targets.kind in ("class", "labels") else (),
            val_share=data.val_share,
            test_share=data.test_share,
            seed=data.split_seed,
        )
    except ValueError as error:
        raise ValueError(f"{data.table}: {error}") from None


def _shared(rows: Sequence[Row]) -> list[str]:
    """Say which files have sections in several given splits, where no column tells the groups."""
    splits = dict[str, set[str]]()
    for row in rows:
        if row.file and row.split:
            splits.setdefault(row.file, set()).add(row.split)
    names = tuple(Path(file).name for file, of in splits.items() if len(of) > 1)
    return [f"{len(names)} recording(s) with sections in several splits: {listed(names)}"] if names else []


def _tell(opened: RecordingSet) -> None:
    lines = [f"{opened.data.table}: {remark}" for remark in opened.remarks]
    if opened.skipped:
        lines.append(f"{opened.data.table}: {len(opened.skipped)} recording(s) cannot be read, and are left out")
        lines += [f"  {name}: {reason}" for name, reason in opened.skipped[:_LISTED]]
        if len(opened.skipped) > _LISTED:
            lines.append(f"  and {len(opened.skipped) - _LISTED} more")
    if lines:
        say_once("\n".join(lines))
