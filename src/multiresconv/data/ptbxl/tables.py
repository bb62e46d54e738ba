"""Read CSV files with named columns."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, column -> value) for every row below the header; a row of several lines has its last number.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the header lacks a column, a row has the wrong number of values, or the file is not CSV in UTF-8.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; download PTB-XL: multiresconv data ptbxl")
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = next(rows, [])
            for column in columns:
                if header.count(column) != 1:
                    raise ValueError(f"{path}, line 1: expected one column {column!r}, got {header.count(column)}")
            places = {column: header.index(column) for column in columns}
            for row in rows:
                if len(row) != len(header):
                    raise ValueError(
                        f"{path}, line {rows.line_num}: expected {len(header)} values as in the header, got {len(row)}"
                    )
                yield rows.line_num, {column: row[place].strip() for column, place in places.items()}
        except csv.Error as error:
            raise ValueError(f"{path}, line {rows.line_num}: expected CSV: {error}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path}, after line {rows.line_num}: expected UTF-8") from None


def shown(value: str) -> str:
    """Format a value for a message: quoted, and shortened to 60 characters."""
    return repr(value if len(value) <= 60 else value[:57] + "...")
