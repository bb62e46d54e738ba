"""Unpack archives from elsewhere safely: only files, only below one folder, and all of them or none."""

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

_NONSENSE = (ValueError, OverflowError, RecursionError)  # what `tarfile` makes of headers that are none
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError, *_NONSENSE)


@contextmanager
def unpacked(archive: str | Path, where: str | Path, *, max_bytes: int) -> Iterator[Path]:
    """A hidden folder in `where` with what a .tar.gz file holds, gone at the end: move out of it what is wanted.

    A member that climbs out of the folder, a link, a device and a name that comes twice are refused, and with them
    the archive. Owners, permissions and times are not taken over.

    Args:
        archive: the file.
        where: a folder, on the disk that the content is meant for.
        max_bytes: how large the archive may be, unpacked.

    Raises:
        ValueError: a member is refused, the message names it, or the archive is damaged or too large.
        OSError: the archive cannot be read, or the folder not be written.
    """
    archive = Path(archive)
    with open(archive, "rb") as packed, scratch_folder(Path(where), archive.name) as folder:
        try:
            with gzip.GzipFile(fileobj=packed) as tar:
                _unpack(_AtMost(tar, max_bytes), folder)
        except _RefusedError as error:
            raise ValueError(f"{archive}: refused: {error}; get the archive from its official place") from None
        except _DAMAGED as error:
            raise ValueError(
                f"{archive}: damaged: expected a whole .tar.gz file, got: {error}; delete it and get it again"
            ) from error
        yield folder


class _RefusedError(Exception):
    """No honest packer made this archive."""


class _AtMost:
    """The first bytes of a stream; it is an error if there are more."""

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


def _unpack(stream: _AtMost, folder: Path) -> None:
    # not `extractall`, whose filters early releases of Python 3.11 lack and let links within the folder pass
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as tar:  # "r|" asks for no more than `read`
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
    while stream.read(1 << 20):  # to the end, where the checksum is
        pass


def _check(member: tarfile.TarInfo) -> None:
    name = PureWindowsPath(member.name)  # it knows each way to climb that POSIX knows, and drives and \ beside
    if name.anchor or ".." in name.parts:
        raise _RefusedError(f"member {member.name!r} is to go outside the folder")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise _RefusedError(f"member {member.name!r} is a link, a device or the like, expected a file or a folder")
    if member.size < 0:
        raise _RefusedError(f"member {member.name!r} has {member.size} bytes")
