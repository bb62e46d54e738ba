"""Open a file, pipe or device whose bytes are bounded."""

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_FILE = 1 << 34  # bytes of a file: 10^8 samples of twelve channels as text
MAX_PIPE = 1 << 26  # bytes of a pipe or device, which may never end; they are read before the first is used


def bounded(file: BinaryIO, path: Path) -> BinaryIO:
    """Return the bytes of an open file, of which `read()` without a size takes no more memory than there are.

    `file.read(MAX_FILE)` would not do: Python reserves as much memory as a read asks for, before it reads.

    Args:
        file: opened for reading in binary mode.
        path: its path, for messages.

    Raises:
        OSError: a pipe or device cannot be read.
        ValueError: there are more bytes than `MAX_FILE` or, in a pipe or device, than `MAX_PIPE`.
    """
    about = os.fstat(file.fileno())
    if stat.S_ISREG(about.st_mode):
        if about.st_size > MAX_FILE:
            raise ValueError(f"{path}: expected at most {MAX_FILE} bytes, got {about.st_size}; split the file")
        return file
    start = file.read(MAX_PIPE + 1)
    if len(start) > MAX_PIPE:
        raise ValueError(f"{path}: expected at most {MAX_PIPE} bytes from a pipe or device; use a file")
    return io.BytesIO(start)
