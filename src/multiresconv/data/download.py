"""Download files. A file gets its name only when it is complete and its checksum is right."""

import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from multiresconv.installation import how_to_install

if TYPE_CHECKING:  # part of the training extra; `fetch` imports it
    import requests

_TEMPORARY = (408, 425, 429)  # status codes worth a retry, besides all from 500 on
_CHUNK = 1 << 16
MAX_BYTES = 1 << 33  # of a file of unknown size
LEAST_SPEED = 1000.0  # bytes per second; a slower mirror is given up
WINDOW = 60.0  # seconds over which the speed is measured


class _Unavailable(Exception):
    """This mirror does not serve the file; another one may."""


class _Interrupted(Exception):
    """The mirror sent only a part; a retry may get the rest."""


def fetch(
    path: str | Path,
    urls: Sequence[str],
    checksum: str | None,
    *,
    max_bytes: int = MAX_BYTES,
    attempts: int = 5,
    pause: float = 1.0,
    timeout: float = 30.0,
    clock: Callable[[], float] = time.monotonic,
    progress: bool = True,
    by_hand: str = "put the file there by hand",
    session: "requests.Session | None" = None,
) -> Path:
    """Download a file, unless it exists with the right checksum; return `path`.

    The received bytes go to a hidden file beside `path`. A later attempt resumes from it, on any mirror and in any
    process. It is renamed to `path`, replacing a wrong file, only when it is complete and its checksum is right. The
    checksum decides, also where a mirror states a wrong length.

    Args:
        path: the file; its folder is created if it does not exist.
        urls: URLs of the file, tried in this order.
        checksum: "md5:..." or "sha256:..."; None accepts any complete file, and never resumes.
        max_bytes: largest size of the file; a mirror that sends more is given up, and what it sent is deleted.
        attempts: failures in a row, without a new byte, after which a mirror is given up.
        pause: seconds before the second attempt; doubled before each further one.
        timeout: seconds without a byte after which an attempt is given up.
        clock: returns seconds; a mirror that sends fewer than `LEAST_SPEED` bytes per second over `WINDOW` seconds is
            given up.
        progress: show a progress bar if standard error is a terminal.
        by_hand: what the error message suggests to do instead.
        session: an open session, to reuse its connections for many files.

    Raises:
        ImportError: the training extra is missing.
        OSError: no URL served the right file, another process is downloading it, or it cannot be written.
    """
    try:
        import pooch
        import requests
    except ImportError:
        raise ImportError(f"downloads need the training extra: {how_to_install('train')}") from None
    path = Path(path)
    pooch.get_logger().setLevel("WARNING")  # the progress bar and the error say it already
    reasons = []
    if path.exists():
        if pooch.hashes.hash_matches(str(path), checksum):
            return path
        reasons.append(f"the file that is there is not the one with checksum {checksum}")
    with nullcontext(session) if session else requests.Session() as connections:
        for url in urls:
            try:
                for _ in range(2):
                    download = _Download(
                        path, connections, checksum, max_bytes, attempts, pause, timeout, clock, progress
                    )
                    call: Any = download  # pooch's type for a downloader names the arguments differently
                    try:
                        pooch.retrieve(url, checksum, fname=path.name, path=path.parent, downloader=call)
                        return path
                    except ValueError:  # wrong checksum; the part left by an earlier attempt may be the cause
                        if not download.has_resumed:
                            break
                reasons.append(f"{url}: served another file than the one with checksum {checksum}")
            except _Unavailable as error:
                reasons.append(f"{url}: {error}")
    raise OSError(f"{path}: download failed: {'; '.join(reasons)}; try again later, or {by_hand}")


@dataclass
class _Download:
    """The downloader that pooch calls with a URL and a file; pooch then checks the file and moves it into place."""

    path: Path
    session: "requests.Session"
    checksum: str | None
    max_bytes: int
    attempts: int
    pause: float
    timeout: float
    clock: Callable[[], float]
    progress: bool
    has_answered: bool = False
    has_resumed: bool = False
    beyond_length: bool = False  # read until the mirror closes the connection, whatever length it states

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        from multiresconv.locks import locked  # not at the top: needs the training extra

        outer = sys.exception()
        os.unlink(output_file)  # still empty; if this process were killed, the file would stay behind
        part = self.path.with_name(f".{self.path.name}.part")
        lock = self.path.with_name(f".{self.path.name}.lock")
        busy = f"{part}: another process is downloading it right now; wait for it"
        with locked(lock, busy, keep=False):
            with _open_part(part) as file:
                self._receive_all(url, file, outer)
            os.replace(part, output_file)

    def _receive_all(self, url: str, file: IO[bytes], outer: BaseException | None) -> None:
        """Call `_receive` until the file is complete; `outer` is the error, if any, that was handled before."""
        import requests
        import urllib3

        furthest, failures = _size(file) if self.checksum else _truncate(file), 0
        while True:
            try:
                self._receive(url, file)
                if self.checksum is None or self.has_resumed or self.beyond_length or self._is_right(file):
                    break  # if it is still wrong, pooch says so
                self.beyond_length = True
                _truncate(file)
                continue
            except (_Interrupted, requests.RequestException, urllib3.exceptions.HTTPError) as error:
                reason = _root_cause(error, below=outer)
            if self._is_right(file):  # the mirror announced more than there is
                break
            size = _size(file)
            furthest, failures = (size, 1) if size > furthest else (furthest, failures + 1)
            if not self.has_answered and isinstance(reason, ConnectionRefusedError | socket.gaierror):
                raise _Unavailable(str(reason))  # the mirror is down or we are offline: a retry does not help
            if failures >= self.attempts:
                raise _Unavailable(f"{str(reason) or type(reason).__name__} ({failures} attempts)")
            time.sleep(self.pause * 2 ** (failures - 1))
        os.fsync(file.fileno())

    def _is_right(self, file: IO[bytes]) -> bool:
        """True if a checksum is known and the file has it."""
        import pooch

        file.flush()
        return self.checksum is not None and pooch.hashes.hash_matches(file.name, self.checksum)

    def _receive(self, url: str, file: IO[bytes]) -> None:
        """Append the missing bytes to the file, or start over if the mirror cannot resume."""
        from tqdm import tqdm

        offset = _size(file) if self.checksum else _truncate(file)
        headers = {"Accept-Encoding": "identity"}  # positions count bytes of the file
        if offset:
            headers["Range"] = f"bytes={offset}-"
            self.has_resumed = True
        if self.beyond_length:
            headers["Connection"] = "close"
        with self.session.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
            self.has_answered = True
            status = response.status_code
            sent = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
            start, total = sent.groups() if sent else (None, None)
            if status == 416 and total == str(offset):  # complete: an earlier attempt ended just before the rename
                return
            if status == 416 or (status == 206 and start != str(offset)):
                _truncate(file)
                raise _Interrupted(f"cannot go on from byte {offset}")
            if status not in (200, 206):
                kind = _Interrupted if status in _TEMPORARY or status >= 500 else _Unavailable
                raise kind(f"{status} {response.reason}")
            if status == 200:
                offset, total = _truncate(file), response.headers.get("Content-Length")
            size = int(total) if total and total.isdigit() and not self.beyond_length else None
            disable = None if self.progress else True
            with tqdm(
                desc=self.path.name, initial=offset, total=size, unit="B", unit_scale=True, disable=disable
            ) as bar:
                for chunk in self._chunks(response):
                    offset += len(chunk)
                    if offset > self.max_bytes:
                        _truncate(file)
                        raise _Unavailable(f"sent more than the {self.max_bytes} bytes that the file may have")
                    file.write(chunk)
                    bar.update(len(chunk))
        if size is not None and _size(file) != size:
            raise _Interrupted(f"broke off after {_size(file)} of {size} bytes")

    def _chunks(self, response: "requests.Response") -> Iterator[bytes]:
        """Yield the bytes of the body as they come.

        Raises:
            _Unavailable: they come too slowly.
        """
        raw: Any = response.raw
        if self.beyond_length and raw.length_remaining is not None:
            raw.length_remaining = raw._fp.length = None
        received, begun = 0, self.clock()
        # `read1` does not wait until a chunk is full; `iter_content` would also unpack a .gz file that the mirror
        # declares to have a gzip content encoding
        while chunk := raw.read1(_CHUNK, decode_content=False):
            yield chunk
            received += len(chunk)
            if (passed := self.clock() - begun) >= WINDOW:
                if received < LEAST_SPEED * passed:
                    raise _Unavailable(f"sent {received} bytes in {passed:.0f} s, less than {LEAST_SPEED:.0f} a second")
                received, begun = 0, self.clock()


@contextmanager
def _open_part(part: Path) -> Iterator[IO[bytes]]:
    """Open the file for appending; delete it if an error leaves it empty.

    Raises:
        OSError: the file cannot be written, for example because the disk is full.
    """
    try:
        with open(part, "ab") as file:
            yield file
    except BaseException as error:
        if part.is_file() and not part.stat().st_size:
            part.unlink()
        if not isinstance(error, OSError) or error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(part)) from error  # names the file


def _size(file: IO[bytes]) -> int:
    return file.seek(0, os.SEEK_END)


def _truncate(file: IO[bytes]) -> int:
    """Empty the file; return its size, 0."""
    file.seek(0)
    return file.truncate()


def _root_cause(error: BaseException, below: BaseException | None) -> BaseException:
    """Return the root cause of an error; the errors raised on top of it only describe sockets and pools.

    Args:
        below: the error, if any, that was handled before; the search stops at it.
    """
    while error.__context__ is not None and error.__context__ is not below:
        error = error.__context__
    return error
