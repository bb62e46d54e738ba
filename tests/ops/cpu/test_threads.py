"""Work on several threads: PyTorch's own, or a pool where there is no OpenMP library to ask."""

import os
import sys
import threading
from collections.abc import Iterator

import pytest
import torch

from multiresconv.ops.cpu import threads
from multiresconv.ops.cpu.threads import parallel, share


@pytest.fixture(params=["openmp", "pool"])
def two(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads, of either kind."""
    if request.param == "pool":
        monkeypatch.setattr(threads, "openmp_entry", lambda: None)
    elif threads.openmp_entry() is None:
        assert sys.platform != "linux", "PyTorch's threads are not found any more"
        pytest.skip("PyTorch has no OpenMP library here that can be asked for threads")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(sys.platform != "linux", reason="where PyTorch has an OpenMP library that can be asked")
def test_pytorchs_threads_are_found() -> None:
    assert threads.openmp_entry() is not None


def test_one_line_says_that_they_are_not_found(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(threads.ctypes, "CDLL", lambda path: object())  # a library without that entry
    threads.openmp_entry.cache_clear()
    try:
        assert threads.openmp_entry() is None
        assert threads.openmp_entry() is None
    finally:
        threads.openmp_entry.cache_clear()
    assert capfd.readouterr().err.count("multiresconv: ") == 1


class Meeting:
    """Called by two threads, holds the first call of each until the other has come, so that neither does it all."""

    def __init__(self) -> None:
        self.came: set[int] = set()
        self._together = threading.Barrier(2)

    def __call__(self) -> None:
        if threading.get_ident() not in self.came:
            self.came.add(threading.get_ident())
            self._together.wait(timeout=10)


def test_as_many_threads_as_torch_has(two: None) -> None:
    meeting, pieces = Meeting(), []

    def kernel(start: int, stop: int) -> None:
        meeting()
        pieces.extend(range(start, stop))

    parallel(kernel, 100, 10**9, [])
    assert len(meeting.came) == 2
    assert threading.get_ident() in meeting.came
    assert sorted(pieces) == list(range(100))


def test_little_work_stays_here(two: None) -> None:
    seen = []
    parallel(lambda start, stop: seen.append((threading.get_ident(), start, stop)), 100, 1000, [])
    assert seen == [(threading.get_ident(), 0, 100)]


@pytest.mark.parametrize("here", [False, True])
def test_an_error_in_any_thread_reaches_the_caller(two: None, here: bool) -> None:
    caller, meeting = threading.get_ident(), Meeting()

    def kernel(start: int, stop: int) -> None:
        meeting()  # each has a piece
        if (threading.get_ident() == caller) == here:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        parallel(kernel, 100, 10**9, [])
    share(lambda piece: None, 4, 2)  # and the threads still work


def test_a_matrix_product_within_has_one_thread(two: None) -> None:
    """So that elements that go side by side do not ask for each other's threads; and it is right."""
    meeting, a = Meeting(), torch.randn(300, 200, dtype=torch.float64)
    out = [torch.empty(300, 300, dtype=torch.float64) for _ in range(4)]

    def run(piece: int) -> None:
        meeting()
        with torch.inference_mode():
            torch.mm(a, a.t(), out=out[piece])

    share(run, 4, 2)
    # sums of 200 products, in either order: each off by at most 200 eps times the sum of what is added
    bound = 2 * 200 * torch.finfo(a.dtype).eps * (a.abs() @ a.abs().t())
    for result in out:
        assert bool(((result - a @ a.t()).abs() <= bound).all())


def test_a_caller_does_not_wait_for_threads_that_others_keep_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "openmp_entry", lambda: None)
    everyone = (os.cpu_count() or 1) + 1  # the pool and one caller
    busy, release = threading.Barrier(everyone + 1), threading.Event()

    def wait(piece: int) -> None:
        busy.wait(timeout=30)
        release.wait(timeout=30)

    other = threading.Thread(target=share, args=(wait, everyone, everyone))
    other.start()
    busy.wait(timeout=30)
    try:
        pieces: list[int] = []
        share(pieces.append, 100, 2)
        assert not release.is_set()
        assert sorted(pieces) == list(range(100))
    finally:
        release.set()
        other.join(timeout=30)
