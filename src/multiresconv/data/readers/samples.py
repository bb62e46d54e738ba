"""Read the samples of a signal from lines of text, one sample per line."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.fields import parse_row, split_fields
from multiresconv.data.readers.header import check_header, is_header
from multiresconv.data.readers.remarks import Tell, tell_nobody
from multiresconv.data.readers.values import SignalCheck


def read_samples(
    lines: Iterable[str],
    channels: Channels,
    where: str = "standard input",
    *,
    block: int = 1,
    tell: Tell = tell_nobody,
) -> Iterator[NDArray[np.float32]]:
    """Parse lines into samples and yield them in blocks (n, C) of at most `block`.

    Numbers are separated by semicolons, tabs, commas or blanks. The first line may be a header, see `check_header`.

    Args:
        lines: the lines, one for each sample.
        channels: what to expect.
        where: name of the lines in error messages.
        block: samples in a block; a stream takes 1, to get each sample when it arrives.
        tell: takes remarks: conversions, and doubts about the range.

    Raises:
        ValueError: the header or a line does not fit the channels, or there is no sample; the message names line and
            column.
    """
    first, factors, rows = _below_header(iter(lines), channels, where, tell)

    def place(sample: int, channel: int) -> str:
        return f"{where}, line {first + sample}, column {channel + 1} ({channels.names[channel]})"

    check = SignalCheck(channels, place)
    numbered = enumerate(rows, start=first)
    while values := [parse_row(line, channels.names, f"{where}, line {n}") for n, line in islice(numbered, block)]:
        if first == 1 and not check.length:
            refuse_column_numbers(values[0], f"{where}, line {first}")
        yield check(np.array(values) * factors)
        if doubt := check.far():
            tell(doubt)
    if not check.length:
        raise ValueError(f"{where}: no sample in it; expected a line of {len(channels)} number(s) for each")
    for doubt in check.doubts():
        tell(doubt)


def _below_header(
    lines: Iterator[str], channels: Channels, where: str, tell: Tell
) -> tuple[int, NDArray[np.float64], Iterator[str]]:
    """Return the number of the first line of numbers, the factors of the columns, and the lines from there on."""
    head = next(lines, "")
    fields = split_fields(head)
    if is_header(fields):
        return 2, check_header(fields, channels, f"{where}, line 1", tell), lines
    return 1, np.ones(len(channels)), chain([head] if head else [], lines)


def refuse_column_numbers(row: list[float], where: str) -> None:
    """Refuse a first line such as 0, 1, 2, which programs write as the header of columns without names."""
    if len(row) > 2 and row in ([*range(len(row))], [*range(1, len(row) + 1)]):
        raise ValueError(f"{where}: expected names or a sample, got the numbers of the columns; remove this line")
