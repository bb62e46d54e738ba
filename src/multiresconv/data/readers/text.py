"""Read lines of text with limits, so that no file, pipe or line can fill the memory."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from multiresconv.data.readers.bounded import bounded

MAX_LINE = 1 << 22  # characters: a picture of a million pixels as numbers

STANDARD_INPUT = Path("/dev/stdin")


def read_lines(path: Path, newline: str | None = None) -> Iterator[str]:
    """Yield the lines of a file with their ends. Bytes that are not UTF-8 become replacement characters.

    Args:
        path: a file, a pipe or a device.
        newline: what ends a line, as in `open`.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file or a line is longer than the limits allow, or the file is not text.
    """
    with (
        open(path, "rb") as file,
        io.TextIOWrapper(bounded(file, path), encoding="utf-8-sig", errors="replace", newline=newline) as text,
    ):
        yield from limited_lines(text, str(path))


def limited_lines(text: TextIO, where: str) -> Iterator[str]:
    """Yield the lines of an open text as they arrive; error messages begin with `where`.

    Raises:
        ValueError: a line is longer than MAX_LINE or has a NUL character, or the text is not in its encoding.
    """
    number = 0
    while True:
        number += 1
        try:
            line = text.readline(MAX_LINE + 1)
        except UnicodeDecodeError as error:
            raise ValueError(f"{where}, line {number}: expected text, {error}") from None
        if not line:
            return
        if len(line) > MAX_LINE:
            raise ValueError(f"{where}, line {number}: expected at most {MAX_LINE} characters in a line, got more")
        if "\0" in line:
            raise ValueError(f"{where}, line {number}: expected text in UTF-8, got a NUL character")
        yield line
