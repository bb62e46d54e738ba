"""Read a table of any columns, such as one of labels, from CSV or Parquet."""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.bounded import bounded
from multiresconv.data.readers.extras import load_extra
from multiresconv.data.readers.fields import is_missing, is_number
from multiresconv.data.readers.recording import listed
from multiresconv.data.readers.times import parse_date
from multiresconv.fields import shown

TABLES = (".csv", ".tsv", ".parquet", ".pq")


class Table(NamedTuple):
    """A table in memory."""

    path: Path
    frame: Any  # pandas.DataFrame; of a text file all cells are texts
    lines: NDArray[np.int64] | None  # (rows,) line of each row in a text file; None of another file
    first: int = 0  # number of rows of the file that come before these

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.frame.columns)

    @property
    def text(self) -> bool:
        """True if the table comes from a text file."""
        return self.lines is not None

    def place(self, row: int) -> str:
        """Name a row, counted from 0, by its line in a text file, else by its number."""
        return (
            f"{self.path}, row {self.first + row + 1}" if self.lines is None else f"{self.path}, line {self.lines[row]}"
        )

    def check_column(self, name: str, option: str) -> None:
        """Raise ValueError unless there is a column of this name; `option` says who asks for it."""
        if name not in self.columns:
            raise ValueError(
                f"{self.path}: {option}: expected the name of a column, got {shown(name)}; the columns are "
                f"{listed(self.columns)}"
            )

    def texts(self, name: str) -> list[str]:
        """Return a column as texts, "" where a cell is missing; blanks around them and ".0" are removed."""
        column = self.frame[name]
        if self.text:
            return ["" if is_missing(cell) else cell for cell in column.str.strip()]
        missing = column.isna().to_numpy()
        return ["" if gone else _text(cell) for cell, gone in zip(column.tolist(), missing, strict=True)]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as numbers (rows,), NaN where a cell is missing.

        Raises:
            ValueError: a cell holds something else; the message names the line and the column.
        """
        column = self.frame[name]
        if not self.text:
            if column.dtype.kind not in "iufb" and not _is_nullable_number(column):
                row = int(np.argmax(~column.isna().to_numpy())) if len(column) else 0
                raise ValueError(f"{self.place(row)}, column {name}: expected a number, got {column.dtype}")
            return column.to_numpy(np.float64, na_value=np.nan)
        pandas = load_extra("pandas", "Tables")
        values = pandas.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan).copy()
        texts = column.str.strip()
        doubtful = np.flatnonzero(np.isnan(values) | texts.str.contains(r"[_xXnN]", regex=True).to_numpy(bool))
        for row in doubtful:
            cell = texts.iat[row]
            if is_missing(cell):
                values[row] = np.nan
            elif is_number(cell):
                values[row] = float(cell)
            else:
                decimal = " with a decimal point" if is_number(cell.replace(",", ".")) else ""
                raise ValueError(
                    f"{self.place(int(row))}, column {name}: expected a number{decimal}, got {shown(cell)}"
                )
        return values

    def times(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers, or of dates as seconds since 1970.

        Raises:
            ValueError: a cell holds something else; the message names the line and the column.
        """
        if self.text:
            cells = self.texts(name)
            if not any(cells) or is_number(next(filter(None, cells))):
                return self.numbers(name)
            values = np.full(len(cells), np.nan)
            for row, cell in enumerate(cells):
                try:
                    values[row] = parse_date(cell) if cell else np.nan
                except ValueError as error:
                    raise ValueError(f"{self.place(row)}, column {name}: {error}") from None
            return values
        column = self.frame[name]
        if column.dtype.kind == "M":
            pandas = load_extra("pandas", "Tables")
            naive = column.dt.tz_convert(None) if getattr(column.dtype, "tz", None) is not None else column
            return (naive - pandas.Timestamp(0)).dt.total_seconds().to_numpy(np.float64)
        return self.numbers(name)


def read_table(path: Path) -> Table:
    """Read a table with a header from `.csv`, `.tsv` (UTF-8) or `.parquet`.

    A text file is separated by what its header has: tabs, else semicolons, else commas. Its cells may be quoted.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged or too large, has a line of another number of cells, has no row, or has two
            columns of one name; the message names the file, and the line if there is one.
        ModuleNotFoundError: the signals extra is not installed.
    """
    arrow = load_extra("pyarrow", "Tables")
    text = is_text(path)
    with open(path, "rb") as file:
        content = bounded(file, path).read()
    try:
        table = _parse_text(content, path) if text else _parse_parquet(content)
    except (arrow.ArrowException, OSError) as error:  # damaged pages of Parquet are an OSError
        raise ValueError(f"{path}: {reason(str(error), text)}") from None
    names = stripped_names(table.column_names, path)
    if not table.num_rows:
        raise ValueError(f"{path}: expected rows below the header, got none")
    return table_of(path, table.rename_columns(names))


def is_text(path: Path) -> bool:
    """True if the suffix says that a table is text, False for Parquet."""
    return path.suffix.lower() not in (".parquet", ".pq")


def table_of(path: Path, table: Any, first: int = 0, line: int = 2) -> Table:
    """Return rows of a file, a `pyarrow.Table`, as a `Table`.

    Args:
        path: the file.
        table: the rows; of a text file all cells are texts.
        first: number of rows before these.
        line: of a text file, the line on which these rows begin.
    """
    if not is_text(path):
        return Table(path, table.to_pandas(), None, first)
    frame = table.to_pandas().fillna("").astype(object)
    breaks = breaks_within(frame)
    return Table(path, frame, line + np.arange(len(frame)) + np.cumsum(breaks) - breaks, first)


def breaks_within(frame: Any) -> NDArray[np.int64]:
    """Return the number of line breaks in the cells of each row (rows,); quoted cells may hold some."""
    inside = np.zeros(len(frame), np.int64)
    for name in frame.columns:
        inside += np.array([cell.count("\n") for cell in frame[name]], np.int64)
    return inside


def stripped_names(names: Sequence[str], path: Path) -> list[str]:
    """Return the names of columns without blanks around them; raises ValueError if one comes twice."""
    names = [name.strip() for name in names]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}, line 1: expected columns of different names, {shown(double)} comes twice")
    return names


def text_options(head: bytes, names: Callable[[Any], list[str]], path: Path) -> dict[str, Any]:
    """Return how to parse a table of text, for `pyarrow.csv`: all cells as texts, errors that name the row.

    Args:
        head: the beginning of the file, with its first line.
        names: returns the names of the columns, given how to separate them.
        path: of the file, for messages.

    Raises:
        ValueError: the first line is not UTF-8.
    """
    csv, arrow = load_extra("pyarrow.csv", "Tables"), load_extra("pyarrow", "Tables")
    try:
        header = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path}, line 1: expected UTF-8") from None
    delimiter = "\t" if "\t" in header else ";" if ";" in header else ","
    types = dict.fromkeys(names(csv.ParseOptions(delimiter=delimiter)), arrow.string())
    return {
        "read_options": csv.ReadOptions(use_threads=False),  # with threads errors do not name the row
        "parse_options": csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False),
        "convert_options": csv.ConvertOptions(column_types=types, strings_can_be_null=False),
    }


def _parse_text(content: bytes, path: Path) -> Any:
    csv = load_extra("pyarrow.csv", "Tables")

    def names(parse: Any) -> list[str]:
        return csv.open_csv(io.BytesIO(content), parse_options=parse).schema.names

    return csv.read_csv(io.BytesIO(content), **text_options(content, names, path))


def _parse_parquet(content: bytes) -> Any:
    return load_extra("pyarrow.parquet", "Tables").read_table(io.BytesIO(content))


def reason(message: str, text: bool) -> str:
    """Return what is wrong with a table in one line, from the message of pyarrow."""
    message = " ".join(message.split())[:200]
    match = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message)
    if match:
        return f"line {match[1]}: expected {match[2]} cells as in the header, got {match[3]}"
    return f"not a readable table in {'UTF-8' if text else 'Parquet'}: {message}"


def _text(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _is_nullable_number(column: Any) -> bool:
    pandas = load_extra("pandas", "Tables")
    return bool(pandas.api.types.is_numeric_dtype(column.dtype)) or bool(column.isna().all())
