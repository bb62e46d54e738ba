"""Cut a long table, with a row for each sample of each recording, into recordings."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.recording import Recording
from multiresconv.data.readers.table import Table
from multiresconv.data.readers.times import rate_of, seconds_of


class Part(NamedTuple):
    """A recording of a long table."""

    id: str
    rows: NDArray[np.int64]  # (time,) its rows in the table, in the order of time
    recording: Recording


def read_long_table(table: Table, *, id: str, time: str | None, values: Sequence[str]) -> Iterator[Part]:
    """Yield the recordings of a long table in the order in which their ids first come.

    Args:
        table: the table.
        id: column that tells the recordings apart.
        time: column of times, which puts the rows of a recording in order and gives the rate; its times have to be
            equally spaced. None takes the rows in the order of the table and knows no rate.
        values: columns of the channels.

    Raises:
        ValueError: a column is missing, a cell is not a number, an id is missing, or times are not equally spaced; the
            message names the line.
    """
    for option, name in (("id", id), ("time", time), *(("values", name) for name in values)):
        if name is not None:
            table.check_column(name, option)
    ids = table.texts(id)
    if "" in ids:
        raise ValueError(f"{table.place(ids.index(''))}, column {id}: expected the id of a recording, got none")
    times = None if time is None else table.times(time)
    channels = np.stack([table.numbers(name) for name in values]).astype(np.float32)
    _, numbers = np.unique(np.array(ids), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(numbers))[:-1])
    for group in sorted(groups, key=lambda rows: rows[0]):
        rate = None
        if times is not None and time is not None:
            group = group[np.argsort(times[group], kind="stable")]
            rate = rate_of(
                times[group],
                seconds_of(time) or 1.0,
                lambda n, rows=group: f"{table.place(int(rows[n]))}, column {time}",
            )
        yield Part(ids[group[0]], group, Recording(channels[:, group], tuple(values), rate, None))
