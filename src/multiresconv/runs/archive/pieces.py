"""`Piece`: a signal to predict, or why there is none; read from the recordings that rows of an archive name."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from multiresconv.data.readers.read_recording import read_stored
from multiresconv.data.readers.recording import Recording, Wanted
from multiresconv.data.readers.remarks import Remarks
from multiresconv.data.readers.signals import selected, wanted_of
from multiresconv.data.recordings.labelled import steps_of
from multiresconv.data.recordings.windows import cut_windows
from multiresconv.models import SequenceModel
from multiresconv.runs.archive.rows import ArchiveRow
from multiresconv.runs.archive.work import Work
from multiresconv.runs.inputs import channels_of, doubt_length, read_events, read_rows


class Piece(NamedTuple):
    """A sequence to predict: a recording, or a window of one."""

    place: dict[str, Any]  # the cells of its row that say what it is
    signal: Tensor | None  # (time, channels) or tokens (time,); None with an error
    remark: str | None = None  # what was converted, and what is doubtful
    error: str | None = None  # why there is no signal


def read_pieces(model: SequenceModel, rows: Sequence[ArchiveRow], work: Work) -> Iterator[Piece]:
    """Yield the pieces of rows of an archive, file by file; each file is read once.

    Raises:
        ModuleNotFoundError: the extra that reads a format is not installed.
    """
    of_file: dict[str, list[ArchiveRow]] = {}
    for row in rows:
        of_file.setdefault(row.file, []).append(row)
    for file, rows_of_file in of_file.items():
        path = work.base / file
        if work.events is not None:
            yield from _around_events(model, path, rows_of_file, work)
        elif model.input.kind == "signal" and model.input.reading == "select":
            yield from _sections(model, path, rows_of_file, work)
        else:
            yield from _of_whole_file(model, path, rows_of_file, work)


def line_of(error: Exception) -> str:
    """Return an error as one line."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return text if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {text}"


def _sections(model: SequenceModel, path: Path, rows: list[ArchiveRow], work: Work) -> Iterator[Piece]:
    """Yield the pieces of sections of a recording; only what they need is read."""
    channels = channels_of(model, work.missing)
    for row, found in zip(rows, _stored(path, [wanted_of(channels, row.start, row.stop) for row in rows]), strict=True):
        if isinstance(found, Exception):
            yield _failed(row, found)
            continue
        remarks = Remarks()
        try:
            signal, rate = selected(found, channels, str(path), remarks.add)
            yield from _windows(model, row, torch.from_numpy(signal), rate, work, remarks)
        except (ValueError, MemoryError) as error:
            yield _failed(row, error)


def _stored(path: Path, wanted: list[Wanted]) -> Iterator[Recording | Exception]:
    """Yield each section of a file, or why it cannot be read."""
    found = 0
    while found < len(wanted):
        sections = read_stored(path, wanted[found:])
        while found < len(wanted):
            try:
                recording = next(sections)
            except ImportError:
                raise
            except Exception as error:  # whatever a decoder raises about one recording is no reason to stop
                found += 1
                yield error
                break
            found += 1
            yield recording


def _of_whole_file(model: SequenceModel, path: Path, rows: list[ArchiveRow], work: Work) -> Iterator[Piece]:
    """Yield the pieces of a file that is read whole: one recording, one picture or one line of tokens."""
    remarks = Remarks()
    try:
        found = read_rows(model, path, missing=work.missing, tell=remarks.add)
        signal = torch.cat(list(next(found)))
        if next(found, None) is not None:
            raise ValueError(f"{path}: expected one sequence in the file, got several; write a file for each")
    except ImportError:
        raise
    except Exception as error:  # as in `_stored`
        yield from (_failed(row, error) for row in rows)
        return
    for row in rows:
        try:
            if model.input.kind == "signal":
                section = Wanted(None, model.input.rate, row.start, row.stop).section(len(signal), None, str(path))
                yield from _windows(model, row, signal[section], model.input.rate, work, remarks)
            elif row.start is not None or row.stop is not None:
                raise ValueError(f"start, stop: expected none with a model of {model.input.kind}, which has no seconds")
            else:
                yield Piece(_place(row), signal, str(remarks) or None)
        except ValueError as error:
            yield _failed(row, error)


def _windows(
    model: SequenceModel, row: ArchiveRow, signal: Tensor, rate: float | None, work: Work, remarks: Remarks
) -> Iterator[Piece]:
    """Yield a signal (time, channels) of `rate` whole, or cut into windows as in training."""
    if work.window is None:
        doubt_length(len(signal), model.input, remarks.add)
        yield Piece(_place(row), signal, str(remarks) or None)
        return
    window, hop = (steps_of(size, rate) for size in (work.window, work.hop or work.window))
    _, starts, lengths = cut_windows(np.array([len(signal)]), window, hop)
    if lengths[0] < window:
        remarks.add(f"shorter than a window of {work.window:g}, and whole")
    doubt_length(int(lengths[0]), model.input, remarks.add)
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        begin, seconds = row.start or 0.0, rate or 1.0
        times = {"start": begin + start / seconds, "stop": begin + (start + length) / seconds}
        yield Piece(_place(row) | times, signal[start : start + length], str(remarks) or None)


def _around_events(model: SequenceModel, path: Path, rows: list[ArchiveRow], work: Work) -> Iterator[Piece]:
    """Yield the windows around the events of a recording."""
    assert work.events is not None
    for row in rows:
        remarks = Remarks()
        try:
            if row.start is not None or row.stop is not None:
                raise ValueError("start, stop: expected none with events, which are those of the whole recording")
            found = list(read_events(model, path, work.events, missing=work.missing, tell=remarks.add))
        except ImportError:
            raise
        except Exception as error:  # as in `_stored`
            yield _failed(row, error)
            continue
        for event in found:
            place = _place(row) | {"time": event.time, "event": event.label}
            yield Piece(place, torch.from_numpy(event.signal), str(remarks) or None)


def _failed(row: ArchiveRow, error: Exception) -> Piece:
    return Piece(_place(row), None, None, line_of(error))


def _place(row: ArchiveRow) -> dict[str, Any]:
    return row._asdict()
