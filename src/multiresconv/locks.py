"""Locks between processes. The operating system releases a lock when its process ends, even if it is killed."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

if os.name == "posix":
    import fcntl

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def locked(path: Path, busy: str, *, keep: bool = True) -> Iterator[None]:
    """Hold a lock on the empty file `path`; on a file system without locks, continue without one.

    Args:
        path: the lock file, created if it does not exist.
        busy: message of the error if another process holds the lock.
        keep: leave the file in place at the end.

    Raises:
        BlockingIOError: another process holds the lock.
    """
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(busy) from None
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        if not keep and os.name == "posix":  # before the release: afterwards another process may hold the file
            path.unlink(missing_ok=True)
        lock.release()
        if not keep and os.name != "posix":  # Windows cannot delete a file that a process has open
            with suppress(OSError):
                path.unlink()


def share(file: BinaryIO) -> None:
    """Keep an open file from `unshared` while it, or a memory map of it, is open in this process or a fork.

    It does nothing on a file system without locks, and on Windows, where nobody deletes a file that is open.

    Raises:
        BlockingIOError: another process is in `unshared` with the file.
    """
    if os.name == "posix":
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise


@contextmanager
def unshared(path: Path) -> Iterator[None]:
    """Keep other processes from `share` with the file.

    Raises:
        BlockingIOError: a process shares the file.
        OSError: the file cannot be opened for writing, or the file system has no locks.
    """
    with open(path, "r+b") if os.name == "posix" else nullcontext() as file:
        if file is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
