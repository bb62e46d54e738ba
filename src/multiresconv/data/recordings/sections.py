"""`Section`: what a row of a table of recordings names, a file or a part of it."""

from typing import NamedTuple

from multiresconv.data.readers.recording import listed
from multiresconv.data.readers.table import Table
from multiresconv.fields import shown

FILE = "file"


class Section(NamedTuple):
    """A recording, or a section of one."""

    file: str  # as the table names it
    start: float | None  # in seconds; in samples if the rate is not known; None is the beginning
    stop: float | None  # in the same unit; None is the end


def listed_sections(table: Table) -> list[Section]:
    """Return the section that each row of a table names in its columns file, start and stop.

    Raises:
        ValueError: the column file is missing, or a cell is not what it should be; the message names the line.
    """
    if FILE not in table.columns:
        raise ValueError(
            f"{table.path}: expected a column {FILE!r} with a recording in each row, or the option id for a table with "
            f"a row per sample; the columns are {listed(table.columns)}"
        )
    cuts = [
        table.numbers(name).tolist() if name in table.columns else [None] * len(table) for name in ("start", "stop")
    ]
    sections = []
    for index, (file, *cut) in enumerate(zip(table.texts(FILE), *cuts, strict=True)):
        if not file or "\0" in file:
            got = shown(file) if file else "none"
            raise ValueError(f"{table.place(index)}, column {FILE}: expected the path of a recording, got {got}")
        start, stop = (None if time is None or time != time else time for time in cut)
        sections.append(Section(file, start, stop))
    return sections
