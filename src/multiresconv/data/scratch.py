"""Scratch folders for files that are not complete yet."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def scratch_folder(where: Path, name: str) -> Iterator[Path]:
    """Create a hidden folder in `where`, deleted at the end; first delete the folders that killed processes left."""
    prefix = f".{name}-{socket.gethostname()}-"
    for path in where.iterdir():
        maker = path.name.removeprefix(prefix).partition("-")[0]
        if path.name.startswith(prefix) and maker.isdigit() and not _is_alive(int(maker)):
            shutil.rmtree(path, ignore_errors=True)
    with TemporaryDirectory(dir=where, prefix=f"{prefix}{os.getpid()}-") as folder:
        yield Path(folder)


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # os.kill with signal 0 merely tests for a process only on POSIX
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process exists, but belongs to another user
        return True
    return True
