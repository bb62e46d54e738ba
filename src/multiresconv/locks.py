"""Locks between processes. The system lifts one when the process that holds it ends, in whatever way."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def locked(path: Path, busy: str, *, keep: bool = True) -> Iterator[None]:
    """Hold the lock that the empty file `path` stands for; where the file system has no locks, go without.

    Args:
        path: made if need be.
        busy: what the error says if another process holds the lock.
        keep: leave the file there at the end.

    Raises:
        BlockingIOError: another process holds it.
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
        if not keep and os.name == "posix":  # before the release: after it the file may be another process's
            path.unlink(missing_ok=True)
        lock.release()
        if not keep and os.name != "posix":  # Windows deletes no file that a process has open
            with suppress(OSError):
                path.unlink()
