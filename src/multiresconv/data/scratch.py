"""Folders for files that are not whole yet."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def scratch_folder(where: Path, name: str) -> Iterator[Path]:
    """Make a hidden folder in `where` and delete it at the end; first delete those that killed processes left."""
    prefix = f".{name}-{socket.gethostname()}-"
    for path in where.iterdir():
        maker = path.name.removeprefix(prefix).partition("-")[0]
        if path.name.startswith(prefix) and maker.isdigit() and not _is_alive(int(maker)):
            shutil.rmtree(path, ignore_errors=True)
    with TemporaryDirectory(dir=where, prefix=f"{prefix}{os.getpid()}-") as folder:
        yield Path(folder)


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # elsewhere os.kill does more than ask
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # there, but another user's
        return True
    return True
