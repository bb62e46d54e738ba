"""Downloads: a file has its name only once it is whole and its checksum right."""

import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:  # it comes with the training extra; `fetch` imports it
    import requests

_PASSING = (408, 425, 429)  # these answers, and all from 500 on, may be others the next time
_CHUNK = 1 << 16


class _Unavailable(Exception):
    """A mirror will not give the file; another may."""


class _Interrupted(Exception):
    """What a mirror gave is not all; it may give the rest when asked again."""


def fetch(
    path: str | Path,
    urls: Sequence[str],
    checksum: str | None,
    *,
    attempts: int = 5,
    pause: float = 1.0,
    timeout: float = 30.0,
    progress: bool = True,
    by_hand: str = "put the file there by hand",
    session: "requests.Session | None" = None,
) -> Path:
    """Download a file, unless it is there with the right checksum; return `path`.

    What arrives is kept in a hidden file beside `path`, from which a later attempt, on any mirror and in any process,
    goes on. It takes its name, and the place of a wrong file there, only when it is whole and right.

    Args:
        path: the file; its folder is made if need be.
        urls: where it is to be had, tried in this order.
        checksum: "md5:..." or "sha256:..."; None takes whatever comes whole, and goes on from no earlier attempt.
        attempts: how often in a row a mirror may break off without coming further than before.
        pause: seconds before the second attempt, twice as many before each further one.
        timeout: seconds without a byte that end an attempt.
        progress: show a bar, if standard error is a terminal.
        by_hand: the way out that the error names.
        session: connections to use again where there are many files.

    Raises:
        ImportError: the training extra is missing.
        OSError: no URL gave the right file, another process is downloading it, or it cannot be written.
    """
    try:
        import pooch
        import requests
    except ImportError:
        raise ImportError('downloads need the training extra: pip install "multiresconv[train]"') from None
    path = Path(path)
    pooch.get_logger().setLevel("WARNING")  # the bar and the error say what it would
    reasons = []
    if path.exists():
        if pooch.hashes.hash_matches(str(path), checksum):
            return path
        reasons.append(f"the file that is there is not the one with {checksum}")
    with nullcontext(session) if session else requests.Session() as connections:
        for url in urls:
            try:
                for _ in range(2):
                    download = _Download(path, connections, checksum is not None, attempts, pause, timeout, progress)
                    call: Any = download  # the type that pooch demands has other names for the arguments
                    try:
                        pooch.retrieve(url, checksum, fname=path.name, path=path.parent, downloader=call)
                        return path
                    except ValueError:  # the checksum; not the mirror, but what an earlier attempt left may be to blame
                        if not download.has_resumed:
                            break
                reasons.append(f"{url}: served another file than the one with {checksum}")
            except _Unavailable as error:
                reasons.append(f"{url}: {error}")
    raise OSError(f"{path}: download failed: {'; '.join(reasons)}; try again later, or {by_hand}")


@dataclass
class _Download:
    """What `pooch` calls to have a URL in a file; pooch then checks it and puts it in its place."""

    path: Path
    session: "requests.Session"
    resume: bool
    attempts: int
    pause: float
    timeout: float
    progress: bool
    has_answered: bool = False
    has_resumed: bool = False

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        from multiresconv.locks import locked  # not above: it comes with the training extra

        outer = sys.exception()
        os.unlink(output_file)  # empty as yet; a process that is killed meanwhile would leave it behind
        part = self.path.with_name(f".{self.path.name}.part")
        lock = self.path.with_name(f".{self.path.name}.lock")
        busy = f"{part}: another process is downloading it right now; wait for it"
        with locked(lock, busy, keep=False):
            with _opened(part) as file:
                self._receive_all(url, file, outer)
            os.replace(part, output_file)

    def _receive_all(self, url: str, file: IO[bytes], outer: BaseException | None) -> None:
        """`_receive`, as often as need be; `outer` is the error, if any, that was being handled before."""
        import requests
        import urllib3

        furthest, failures = _size(file) if self.resume else _emptied(file), 0
        while True:
            try:
                self._receive(url, file)
                break
            except (_Interrupted, requests.RequestException, urllib3.exceptions.HTTPError) as error:
                reason = _root(error, below=outer)
            size = _size(file)
            furthest, failures = (size, 1) if size > furthest else (furthest, failures + 1)
            if not self.has_answered and isinstance(reason, ConnectionRefusedError | socket.gaierror):
                raise _Unavailable(str(reason))  # down, or we are offline: waiting is of no use
            if failures >= self.attempts:
                raise _Unavailable(f"{str(reason) or type(reason).__name__} ({failures} attempts)")
            time.sleep(self.pause * 2 ** (failures - 1))
        os.fsync(file.fileno())

    def _receive(self, url: str, file: IO[bytes]) -> None:
        """Add to the file what it lacks, or write it anew if the mirror cannot leave out its beginning."""
        from tqdm import tqdm

        offset = _size(file) if self.resume else _emptied(file)
        headers = {"Accept-Encoding": "identity"}  # positions count bytes of the file
        if offset:
            headers["Range"] = f"bytes={offset}-"
            self.has_resumed = True
        with self.session.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
            self.has_answered = True
            status = response.status_code
            sent = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
            start, total = sent.groups() if sent else (None, None)
            if status == 416 and total == str(offset):  # ended between the last byte and the move into place
                return
            if status == 416 or (status == 206 and start != str(offset)):
                _emptied(file)
                raise _Interrupted(f"cannot go on from byte {offset}")
            if status not in (200, 206):
                kind = _Interrupted if status in _PASSING or status >= 500 else _Unavailable
                raise kind(f"{status} {response.reason}")
            if status == 200:
                offset, total = _emptied(file), response.headers.get("Content-Length")
            size = int(total) if total and total.isdigit() else None
            disable = None if self.progress else True
            with tqdm(
                desc=self.path.name, initial=offset, total=size, unit="B", unit_scale=True, disable=disable
            ) as bar:
                # not `iter_content`, which would unpack a .gz file that a mirror declares to be a packed one
                for chunk in response.raw.stream(_CHUNK, decode_content=False):
                    file.write(chunk)
                    bar.update(len(chunk))
        if size is not None and _size(file) != size:
            raise _Interrupted(f"broke off after {_size(file)} of {size} bytes")


@contextmanager
def _opened(part: Path) -> Iterator[IO[bytes]]:
    """The file, for appending; it goes if an error leaves it empty.

    Raises:
        OSError: it cannot be written; the disk being full, say.
    """
    try:
        with open(part, "ab") as file:
            yield file
    except BaseException as error:
        if part.is_file() and not part.stat().st_size:
            part.unlink()
        if not isinstance(error, OSError) or error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(part)) from error  # by itself it would not name the file


def _size(file: IO[bytes]) -> int:
    return file.seek(0, os.SEEK_END)


def _emptied(file: IO[bytes]) -> int:
    """Size 0."""
    file.seek(0)
    return file.truncate()


def _root(error: BaseException, below: BaseException | None) -> BaseException:
    """What was wrong at first: the errors that were made of it tell of sockets and pools.

    Args:
        below: the error, if any, that was being handled before all this.
    """
    while error.__context__ is not None and error.__context__ is not below:
        error = error.__context__
    return error
