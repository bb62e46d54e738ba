"""`Work`: what is done with every recording of an archive, and `Task`: what one process does at a time."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from multiresconv.data.readers.surroundings import WantedEvents
from multiresconv.models import Missing


@dataclass(frozen=True)
class Work:
    """What is done with every recording; processes and machines get it with their tasks.

    Args:
        model: the model folder.
        rows: the file with the rows of the table, see `rows.py`.
        base: folder that the names of the recordings are relative to.
        missing: treatment of missing samples; None does as the model says.
        window: length of the windows that recordings are cut into, in seconds (in samples if the rate is not known).
        hop: distance between the beginnings of two windows, in the same unit; None means the window.
        events: windows around events to predict instead.
        batch_size: sequences that are computed together.
        device: where to compute.
        threads: threads of each process.
    """

    model: Path
    rows: Path
    base: Path
    missing: Missing | None = None
    window: float | None = None
    hop: float | None = None
    events: WantedEvents | None = None
    batch_size: int = 50
    device: str = "auto"
    threads: int = 1


class Task(NamedTuple):
    """A part of the table, or one row of it."""

    part: int
    row: int | None = None  # number within the part; None means all


class Answers(NamedTuple):
    """The answers of a task."""

    task: Task
    table: bytes  # a Parquet file
    failed: int  # answers that are errors


class Failure(NamedTuple):
    """Why a task, and with it every other one, cannot be done: no fault of a recording."""

    task: Task
    reason: str
    expected: bool  # True for what a user can mend, False for a traceback


Outcome = Answers | Failure
Run = Callable[
    [Work, Sequence[Task]], Generator[Outcome, None, None]
]  # does tasks; leaves out those that kill processes
