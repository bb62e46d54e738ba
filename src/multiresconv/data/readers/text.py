"""Read lines of text with limits, so that no file, pipe or line can fill the memory."""

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

MAX_LINE = 1 << 22  # characters: a picture of a million pixels as numbers
MAX_TEXT = 1 << 34  # bytes of a file: 10^8 samples of twelve channels; the memory holds a few thousand lines of it
MAX_PIPE = 1 << 26  # bytes of a pipe or device, which may never end; they are read before the first line is used

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
    with open(path, "rb") as file:
        about = os.fstat(file.fileno())
        if stat.S_ISREG(about.st_mode):
            if about.st_size > MAX_TEXT:
                raise ValueError(f"{path}: expected at most {MAX_TEXT} bytes, got {about.st_size}; split the file")
            content: io.BufferedIOBase = file
        else:
            start = file.read(MAX_PIPE + 1)
            if len(start) > MAX_PIPE:
                raise ValueError(f"{path}: expected at most {MAX_PIPE} bytes from a pipe or device; use a file")
            content = io.BytesIO(start)
        with io.TextIOWrapper(content, encoding="utf-8-sig", errors="replace", newline=newline) as text:
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
