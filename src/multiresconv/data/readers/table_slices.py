"""Read a table of any number of rows in slices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from multiresconv.data.readers.extras import load_extra
from multiresconv.data.readers.table import (
    Table,
    breaks_within,
    is_text,
    reason,
    stripped_names,
    table_of,
    text_options,
)
from multiresconv.data.readers.text import MAX_LINE


def read_slices(path: Path, rows: int) -> Iterator[Table]:
    """Yield the rows of a table in slices of `rows`, the last one shorter; the memory does not grow with the table.

    Args:
        path: the table; see `read_table`.
        rows: at least 1.

    Raises:
        OSError: the file cannot be read.
        ValueError: as `read_table` says; a damaged row is found when its slice is reached.
        ModuleNotFoundError: the signals extra is not installed.
    """
    arrow, text = load_extra("pyarrow", "Tables"), is_text(path)
    first, line = 0, 2
    with open(path, "rb") as file:
        try:
            for rows_of_file in _regrouped(_text_batches(file, path) if text else _parquet_batches(file, rows), rows):
                names = stripped_names(rows_of_file.column_names, path)
                table = table_of(path, rows_of_file.rename_columns(names), first, line)
                yield table
                first += len(table)
                line += len(table) + int(breaks_within(table.frame).sum()) if text else 0
        except (arrow.ArrowException, OSError) as error:  # damaged pages of Parquet are an OSError
            raise ValueError(f"{path}: {reason(str(error), text)}") from None
    if not first:
        raise ValueError(f"{path}: expected rows below the header, got none")


def _parquet_batches(file: BinaryIO, rows: int) -> Iterator[Any]:
    with load_extra("pyarrow.parquet", "Tables").ParquetFile(file) as opened:
        yield from opened.iter_batches(rows)


def _text_batches(file: BinaryIO, path: Path) -> Iterator[Any]:
    csv = load_extra("pyarrow.csv", "Tables")

    def names(parse: Any) -> list[str]:
        file.seek(0)
        return csv.open_csv(file, parse_options=parse).schema.names

    options = text_options(file.readline(MAX_LINE), names, path)
    file.seek(0)
    yield from csv.open_csv(file, **options)


def _regrouped(batches: Iterator[Any], rows: int) -> Iterator[Any]:
    """Yield tables of `rows` rows, the last one shorter, made of the batches."""
    table_from = load_extra("pyarrow", "Tables").Table.from_batches
    held: list[Any] = []
    for batch in batches:
        held.append(batch)
        if sum(part.num_rows for part in held) >= rows:
            table = table_from(held)
            whole = table.num_rows // rows * rows
            yield from (table.slice(start, rows) for start in range(0, whole, rows))
            held = table.slice(whole).to_batches()
    if any(part.num_rows for part in held):
        yield table_from(held)
