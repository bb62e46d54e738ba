"""The rows of a table of recordings, as a Parquet file with a row group for each part.

Any part can be read without the others, by any process, whatever the format and the size of the table.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from multiresconv.data.readers.extras import load_extra
from multiresconv.data.readers.table import Table
from multiresconv.data.readers.table_slices import read_slices
from multiresconv.data.recordings.sections import listed_sections
from multiresconv.files import write_atomically

ID = "id"


class ArchiveRow(NamedTuple):
    """A row of the table: a recording or a section of one."""

    row: int  # its number in the table, from 0
    id: str | None  # None if the table has no ids
    file: str
    start: float | None
    stop: float | None


def write_rows(table: Path, path: Path, rows_of_part: int) -> int:
    """Write the rows of a table (CSV or Parquet) of any size, `rows_of_part` in each row group; return their number.

    Raises:
        OSError: the table cannot be read, or the file cannot be written.
        ValueError: the table is malformed; the message names the line.
    """
    count = 0

    def write(part: Path) -> None:
        nonlocal count
        writer: Any = None
        try:
            for slice_of_table in read_slices(table, rows_of_part):
                rows = _rows_of(slice_of_table)
                writer = writer or load_extra("pyarrow.parquet", "Archives").ParquetWriter(part, rows.schema)
                writer.write_table(rows)
                count += len(slice_of_table)
        finally:
            if writer is not None:
                writer.close()

    write_atomically(path, write)
    return count


def read_part(path: Path, part: int) -> list[ArchiveRow]:
    """Read the rows of a part, counted from 0."""
    with load_extra("pyarrow.parquet", "Archives").ParquetFile(path) as file:
        return [ArchiveRow(**{ID: None, **row}) for row in file.read_row_group(part).to_pylist()]


def has_ids(path: Path) -> bool:
    """True if the table has a column `id`."""
    return ID in load_extra("pyarrow.parquet", "Archives").read_schema(path).names


def _rows_of(table: Table) -> Any:
    arrow = load_extra("pyarrow", "Archives")
    columns: dict[str, Any] = {"row": arrow.array(table.first + np.arange(len(table)), arrow.int64())}
    if ID in table.columns:
        columns[ID] = arrow.array(table.texts(ID), arrow.string())
    columns |= dict(zip(("file", "start", "stop"), _transposed(table), strict=True))
    return arrow.table(columns)


def _transposed(table: Table) -> Iterator[Any]:
    arrow = load_extra("pyarrow", "Archives")
    files, starts, stops = zip(*listed_sections(table), strict=True)
    yield arrow.array(files, arrow.string())
    for times in (starts, stops):
        yield arrow.array(times, arrow.float64())
