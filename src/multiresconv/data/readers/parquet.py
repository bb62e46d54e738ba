"""Read a recording from a Parquet file: a row for each sample, a column for each channel."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.extras import load_extra
from multiresconv.data.readers.recording import WHOLE, Recording, Wanted, listed
from multiresconv.data.readers.times import rate_of, seconds_of, time_column


def read_parquet(path: Path, wanted: Wanted = WHOLE) -> Recording:
    """Read the wanted section and channels of a Parquet file; only the row groups that hold the section are read.

    A column whose name is one of a time (see `readers/times.py`), in numbers or as timestamps, is no channel: it gives
    the rate, and has to be equally spaced.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged, a wanted column does not hold numbers, the times are not equally spaced, or the
            section or a channel is not in the file; the message names the file and the column.
        ModuleNotFoundError: the signals extra is not installed.
    """
    arrow, parquet = load_extra("pyarrow", "Parquet files"), load_extra("pyarrow.parquet", "Parquet files")
    with open(path, "rb") as opened:  # so that a missing file is an error of the system
        try:
            with parquet.ParquetFile(opened) as file:
                return _read(file, path, wanted)
        except (arrow.ArrowException, OSError) as error:  # damaged pages are an OSError
            raise ValueError(f"{path}: not a readable Parquet file: {' '.join(str(error).split())[:200]}") from None


def _read(file: Any, path: Path, wanted: Wanted) -> Recording:
    columns = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
    if len(set(columns)) < len(columns):
        raise ValueError(f"{path}: expected columns of different names, got {listed(columns)}")
    time, rate = time_column(columns), None
    if time is not None:
        name = columns.pop(time)
        times, seconds = _times(file.read([name]).column(0), name)
        rate = rate_of(times, seconds, lambda n: f"{path}, row {n + 1}, column {name}")
    chosen = [columns[index] for index in wanted.columns(columns, str(path))]
    part = wanted.section(file.metadata.num_rows, rate, str(path))
    ends = np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)])
    first, last = np.searchsorted(ends, [part.start, part.stop - 1], side="right")
    table = file.read_row_groups(list(range(int(first), int(last) + 1)), columns=chosen)
    start = part.start - int(ends[first - 1] if first else 0)
    table = table.slice(start, part.stop - part.start)
    values = np.stack([_numbers(table.column(name), f"{path}, column {name}") for name in chosen])
    return Recording(values, tuple(chosen), rate, None)


def _numbers(column: Any, where: str) -> NDArray[np.float32]:
    types = load_extra("pyarrow", "Parquet files").types
    kind = column.type
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind)):
        raise ValueError(f"{where}: expected numbers, got {kind}; choose channels")
    with np.errstate(over="ignore"):  # what is too large is refused by `read_recording`
        return column.to_pandas().to_numpy(np.float64, na_value=np.nan).astype(np.float32)


def _times(column: Any, name: str) -> tuple[NDArray[np.float64], float]:
    """Return the times as numbers, and how many seconds are in their unit."""
    types, kind = load_extra("pyarrow", "Parquet files").types, column.type
    if types.is_timestamp(kind):
        whole = column.cast(load_extra("pyarrow", "Parquet files").timestamp("ns", kind.tz)).to_pandas()
        missing = whole.isna().to_numpy()
        since = (whole - whole.min()).dt.total_seconds().to_numpy(np.float64)
        return np.where(missing, np.nan, since), 1.0
    return column.to_pandas().to_numpy(np.float64, na_value=np.nan), seconds_of(name) or 1.0
