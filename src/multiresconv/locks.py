"""Locks between processes. The operating system releases a lock when its process ends, even if it is killed."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

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
