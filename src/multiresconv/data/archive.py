"""Unpack untrusted archives safely: only files and folders, only below one folder, and all of them or none."""

import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path, PureWindowsPath
from typing import IO, cast

from multiresconv.data.scratch import scratch_folder

_BAD_HEADER = (ValueError, OverflowError, RecursionError)  # `tarfile` raises these for malformed headers
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError, *_BAD_HEADER)


@contextmanager
def unpacked(archive: str | Path, where: str | Path, *, max_bytes: int) -> Iterator[Path]:
    """Unpack a .tar.gz file into a hidden folder in `where`, which is deleted at the end; move out what you need.

    The whole archive is refused if a member lies outside the folder, is a link or a device, or has the name of another
    member. Owners, permissions and times are not restored.

    Args:
        archive: the .tar.gz file.
        where: a folder on the disk where the content will end up.
        max_bytes: the largest allowed size of the unpacked archive.

    Raises:
        ValueError: a member is refused (the message names it), or the archive is damaged or too large.
        OSError: the archive cannot be read, or the folder cannot be written.
    """
    archive = Path(archive)
    with open(archive, "rb") as packed, scratch_folder(Path(where), archive.name) as folder:
        try:
            with gzip.GzipFile(fileobj=packed) as tar:
                _unpack(_LimitedStream(tar, max_bytes), folder)
        except _RefusedError as error:
            raise ValueError(f"{archive}: refused: {error}; get the archive from its official place") from None
        except _DAMAGED as error:
            raise ValueError(
                f"{archive}: damaged: expected a whole .tar.gz file, got: {error}; delete it and get it again"
            ) from error
        yield folder


class _RefusedError(Exception):
    """The archive may be malicious, and is not unpacked."""


class _LimitedStream:
    """A stream that may have at most `limit` bytes; reading more raises `_RefusedError`."""

    def __init__(self, stream: BufferedIOBase, limit: int) -> None:
        self.stream = stream
        self.limit = limit
        self.left = limit

    def read(self, size: int) -> bytes:
        values = self.stream.read(min(size, self.left + 1))
        self.left -= len(values)
        if self.left < 0:
            raise _RefusedError(f"expected at most {self.limit} bytes unpacked, got more")
        return values


def _unpack(stream: _LimitedStream, folder: Path) -> None:
    # not `extractall`: early releases of Python 3.11 lack its filters, which also allow links within the folder
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as tar:  # "r|" calls only `read`
        for member in tar:
            _check(member)
            target = folder / member.name
            content = tar.extractfile(member)
            try:
                if content is None:
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "xb") as file:
                    shutil.copyfileobj(content, file)
                    file.flush()
                    os.fsync(file.fileno())
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise _RefusedError(f"member {member.name!r} comes twice, or is both a file and a folder") from None
    while stream.read(1 << 20):  # to the end, where gzip checks the checksum
        pass


def _check(member: tarfile.TarInfo) -> None:
    name = PureWindowsPath(member.name)  # it parses POSIX paths too, and also recognises drives and backslashes
    if name.anchor or ".." in name.parts:
        raise _RefusedError(f"member {member.name!r} lies outside the folder")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise _RefusedError(f"member {member.name!r} is a link, a device or the like, expected a file or a folder")
    if member.size < 0:
        raise _RefusedError(f"member {member.name!r} has {member.size} bytes")
