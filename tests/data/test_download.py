"""Downloads hold one law: under the final name there is the right file or none, whatever mirrors and cuts do."""

import builtins
import hashlib
import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from http_server import Server, serve
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from profiles import examples
from seeded import python

from multiresconv.data.download import fetch

CONTENT = hashlib.shake_256(b"multiresconv").digest(300_000)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
Fetch = Callable[..., Path]


@pytest.fixture
def server() -> Iterator[Server]:
    with serve({"file": CONTENT}) as served:
        yield served


@pytest.fixture
def mirror() -> Iterator[Server]:
    with serve({"file": CONTENT}) as served:
        yield served


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def fetched(folder: Path, *servers: Server, checksum: str | None = MD5, attempts: int = 3) -> bytes:
    """What is in the file afterwards; beside it there must be nothing."""
    urls = [f"{server.url}file" for server in servers]
    path = fetch(folder / "file", urls, checksum, attempts=attempts, pause=0.001, timeout=5, progress=False)
    assert [file.name for file in folder.iterdir()] == ["file"]
    return path.read_bytes()


def ranges(server: Server) -> list[str | None]:
    return [asked for _, asked in server.requests]


def test_fetches_into_a_new_folder_once(tmp_path: Path, server: Server) -> None:
    for _ in range(2):
        assert fetched(tmp_path / "a" / "b", server) == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", ["cut", "drop", 503, 500, 429])
def test_goes_on_after_faults_that_pass(tmp_path: Path, server: Server, fault: int | str) -> None:
    server.faults = [fault, fault]
    assert fetched(tmp_path, server) == CONTENT
    assert len(server.requests) == 3


def test_goes_on_where_it_was_cut(tmp_path: Path, server: Server) -> None:
    server.faults = ["cut", "cut"]
    assert fetched(tmp_path, server) == CONTENT
    assert ranges(server) == [None, "bytes=150000-", "bytes=225000-"]


def test_length_that_is_more_than_comes(tmp_path: Path, server: Server) -> None:
    server.faults = ["long"]
    assert fetched(tmp_path, server) == CONTENT
    assert ranges(server) == [None]  # the checksum says that there is no more


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("fault", ["long", "short"])
def test_the_checksum_decides_where_the_length_is_always_wrong(
    tmp_path: Path, server: Server, fault: str, ranges: bool
) -> None:
    server.ranges, server.faults = ranges, [fault] * 100
    assert fetched(tmp_path, server) == CONTENT


def test_a_file_that_never_ends_is_given_up_and_deleted(tmp_path: Path, server: Server, mirror: Server) -> None:
    server.faults = ["endless"]
    url, limits = f"{server.url}file", {"max_bytes": 400_000, "progress": False}
    with pytest.raises(OSError, match=r"download failed: .* sent more than the 400000 bytes"):
        fetch(tmp_path / "file", [url], MD5, **limits)
    assert list(tmp_path.iterdir()) == []
    server.faults = ["endless"]
    fetch(tmp_path / "file", [url, f"{mirror.url}file"], MD5, **limits)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_file_without_a_checksum_has_a_largest_size_too(tmp_path: Path, server: Server) -> None:
    with pytest.raises(OSError, match="sent more than the 299999 bytes"):
        fetch(tmp_path / "file", [f"{server.url}file"], None, max_bytes=299_999, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_that_is_too_slow_is_given_up(tmp_path: Path, server: Server) -> None:
    """The clock goes on by 100 s whenever it is read: at most 65,536 bytes in 100 s are less than 1,000 in one."""
    slow, fast = itertools.count(0, 100), itertools.count(0, 10)
    url = f"{server.url}file"
    with pytest.raises(OSError, match=r"download failed: .* sent \d+ bytes in 100 s, less than 1000 a second"):
        fetch(tmp_path / "file", [url], MD5, progress=False, clock=lambda: float(next(slow)))
    assert 0 < (tmp_path / ".file.part").stat().st_size < len(CONTENT), "what came is kept for the next attempt"
    fetch(tmp_path / "file", [url], MD5, progress=False, clock=lambda: next(fast) / 1000)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_few_bytes_are_seen_before_a_chunk_is_full(tmp_path: Path, server: Server) -> None:
    """A reader that waits for whole chunks would wait for hours if one byte came in a while."""
    server.faults, times = ["stall"], itertools.count(0, 100)
    with pytest.raises(OSError, match=r"sent [1-5] bytes in 100 s, less than 1000 a second"):
        fetch(tmp_path / "file", [f"{server.url}file"], MD5, progress=False, clock=lambda: float(next(times)))


def test_more_cuts_than_attempts_while_it_comes_further(tmp_path: Path, server: Server) -> None:
    server.faults = ["cut"] * 8
    assert fetched(tmp_path, server, attempts=2) == CONTENT


def test_starts_anew_where_the_server_ignores_ranges(tmp_path: Path, server: Server) -> None:
    server.ranges, server.faults = False, ["cut"]
    assert fetched(tmp_path, server) == CONTENT
    assert ranges(server) == [None, "bytes=150000-"]


def test_endless_cuts_end(tmp_path: Path, server: Server) -> None:
    server.ranges, server.faults = False, ["cut"] * 100
    with pytest.raises(OSError, match=r"download failed.*IncompleteRead.*3 attempts"):
        fetched(tmp_path, server)
    assert len(server.requests) == 3


def test_does_not_append_another_part_than_the_one_asked_for(tmp_path: Path, server: Server) -> None:
    server.faults = ["cut", "wrong range"]
    assert fetched(tmp_path, server) == CONTENT
    assert ranges(server) == [None, "bytes=150000-", None]


def test_goes_on_after_less_than_asked_for(tmp_path: Path, server: Server) -> None:
    server.faults = ["cut", "piece"]
    assert fetched(tmp_path, server) == CONTENT
    assert ranges(server) == [None, "bytes=150000-", "bytes=225000-"]


def test_bytes_stay_as_they_are_where_the_server_declares_them_packed(tmp_path: Path, server: Server) -> None:
    server.headers = {"Content-Encoding": "x-gzip"}
    assert fetched(tmp_path, server) == CONTENT


@pytest.mark.parametrize("wrong", [b"", b"<html>log in first</html>", CONTENT[:-1], CONTENT + b"x", CONTENT[::-1]])
def test_wrong_file_on_the_first_mirror(tmp_path: Path, server: Server, mirror: Server, wrong: bytes) -> None:
    server.files["file"] = wrong
    assert fetched(tmp_path, server, mirror) == CONTENT


@pytest.mark.parametrize("fault", [503, "cut", "drop", 404, 403])
def test_next_mirror_where_one_keeps_failing(tmp_path: Path, server: Server, mirror: Server, fault: int | str) -> None:
    server.faults, server.ranges = [fault] * 100, False
    assert fetched(tmp_path, server, mirror) == CONTENT
    assert len(server.requests) == (1 if fault in (403, 404) else 3)
    assert len(mirror.requests) == 1


def test_next_mirror_goes_on_with_what_the_first_gave(tmp_path: Path, server: Server, mirror: Server) -> None:
    server.faults = ["cut", *[503] * 100]
    assert fetched(tmp_path, server, mirror) == CONTENT
    assert ranges(mirror) == ["bytes=150000-"]


def test_no_server_there(tmp_path: Path, mirror: Server) -> None:
    with serve({}) as gone:
        pass
    assert fetched(tmp_path, gone, mirror) == CONTENT


def test_wrong_everywhere_is_one_line_and_no_file(tmp_path: Path, server: Server, mirror: Server) -> None:
    server.files["file"], mirror.faults = b"wrong", [503] * 100
    with pytest.raises(OSError, match="download failed") as caught:
        fetched(tmp_path, server, mirror)
    message = str(caught.value)
    for part in (str(tmp_path / "file"), f"{server.url}file", f"{mirror.url}file", MD5, "503", "3 attempts", "by hand"):
        assert part in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_reason_is_of_the_download_alone(tmp_path: Path, server: Server) -> None:
    server.faults = [503] * 3
    try:
        raise KeyError("handled by the caller")
    except KeyError:
        with pytest.raises(OSError, match=r"503 Service Unavailable \(3 attempts\)"):
            fetched(tmp_path, server)


@pytest.mark.parametrize("left", [CONTENT[:1000], b"rubbish" * 100, CONTENT, CONTENT + b"more", b"rubbish" * 100_000])
@pytest.mark.parametrize("ranges", [True, False])
def test_what_an_earlier_attempt_left_is_used_if_it_is_right(
    tmp_path: Path, server: Server, left: bytes, ranges: bool
) -> None:
    (tmp_path / ".file.part").write_bytes(left)
    server.ranges = ranges
    assert fetched(tmp_path, server) == CONTENT
    assert server.requests[0][1] == f"bytes={len(left)}-"
    assert len(server.requests) == (1 if not ranges or CONTENT.startswith(left) else 2)


def test_wrong_file_under_the_final_name_stays_until_there_is_the_right_one(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file").write_bytes(b"old")
    server.faults = [404]
    with pytest.raises(OSError, match="404"):
        fetched(tmp_path, server)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert fetched(tmp_path, server) == CONTENT


def test_without_a_checksum_nothing_is_pieced_together(tmp_path: Path, server: Server) -> None:
    (tmp_path / ".file.part").write_bytes(CONTENT[:1000])
    server.faults = ["cut", "long"]
    assert fetched(tmp_path, server, checksum=None) == CONTENT
    assert ranges(server) == [None] * 3


def test_session_of_the_caller_stays_open(tmp_path: Path, server: Server) -> None:
    closed = []
    with requests.Session() as session:
        session.close = lambda: closed.append(session)
        fetch(tmp_path / "file", [f"{server.url}file"], None, progress=False, session=session)
        assert closed == []
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.slow
def test_killed_download_goes_on(tmp_path: Path, server: Server) -> None:
    server.faults = ["cut", *[503] * 100]
    script = """
import sys
import multiresconv.data.cifar10, multiresconv.data.mnist
from multiresconv.data.download import fetch
print(sorted({"pooch", "requests"} & {*sys.modules}), flush=True)  # reading data needs no downloader
fetch(sys.argv[1], sys.argv[2:3], sys.argv[3], pause=100)
"""
    command = python(script, tmp_path / "file", f"{server.url}file", MD5)
    part, end = tmp_path / ".file.part", time.monotonic() + 60
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            while not (part.exists() and part.stat().st_size == len(CONTENT) // 2) and time.monotonic() < end:
                time.sleep(0.01)
            with pytest.raises(BlockingIOError, match="another process"):
                fetched(tmp_path, server)
        finally:
            process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == "[]\n"
    server.faults = []
    assert fetched(tmp_path, server) == CONTENT
    assert ranges(server)[-1] == f"bytes={len(CONTENT) // 2}-"


@given(
    faults=st.lists(
        st.sampled_from(["cut", "drop", "long", "short", "wrong range", "piece", "fine", 503, 404]), max_size=12
    ),
    ranges=st.booleans(),
    left=st.sampled_from([b"", CONTENT[:7], b"rubbish"]),
)
@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_right_file_or_none(
    tmp_path_factory: pytest.TempPathFactory, faults: list[int | str], ranges: bool, left: bytes
) -> None:
    folder = tmp_path_factory.mktemp("law")
    if left:
        (folder / ".file.part").write_bytes(left)
    with serve({"file": CONTENT[:5000]}) as server:
        server.faults, server.ranges = list(faults), ranges
        checksum = f"md5:{hashlib.md5(CONTENT[:5000]).hexdigest()}"
        message = None
        try:
            assert fetched(folder, server, server, checksum=checksum) == CONTENT[:5000]
        except OSError as error:
            message = str(error)
    if message is not None:
        assert "download failed" in message
        assert faults
        assert not (folder / "file").exists()


@pytest.mark.parametrize("missing", ["pooch", "requests"])
def test_missing_extra_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    found = builtins.__import__

    def lacking(name: str, *args: object, **kwargs: object) -> object:
        if name == missing:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return found(name, *args, **kwargs)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(ImportError, match=r"pip install .*\[train\]"):
        fetch(tmp_path / "file", ["http://127.0.0.1/file"], MD5)


def test_full_disk_names_the_file(tmp_path: Path, server: Server) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            fetched(tmp_path, server)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path / ".file.part")
    assert len(server.requests) == 1
