"""Write files atomically: each appears whole or not at all, and system errors name the file."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Make system errors name `path`. By themselves some name no file, for example when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # raised by a library, such as NumPy on a full disk, with its own message
            raise OSError(f"{path}: {error}") from error
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`.

    The temporary file has the suffix of `path`, since some writers choose the format by it.

    Raises:
        OSError: the file cannot be written, for example because the disk is full; the error names `path`.
    """
    part = path.with_name(f".{path.stem}.part-{os.getpid()}{path.suffix}")
    try:
        with errors_name(path):
            write(part)
            with open(part, "rb+") as file:  # Windows syncs only files that are open for writing
                os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8; see `write_atomically`."""
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON; see `write_atomically`. Raises ValueError for NaN or infinity."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
