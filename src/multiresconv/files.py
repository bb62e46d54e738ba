"""Writing files: each appears whole or not at all, and an error of the system says which file it met."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Let errors of the system name `path`: a full disk's, for one, name no file by themselves."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a library's own, in its own words
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place; the suffix stays, since writers look at it.

    Raises:
        OSError: it cannot be written, the disk being full, say; it names `path`.
    """
    part = path.with_name(f".{path.stem}.part-{os.getpid()}{path.suffix}")
    try:
        with errors_name(path):
            write(part)
            with open(part, "rb+") as file:  # for writing too, without which Windows syncs nothing
                os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8, see `write_atomically`."""
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, see `write_atomically`; NaN and infinity are a ValueError."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
