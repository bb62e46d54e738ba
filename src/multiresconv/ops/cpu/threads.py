"""Work on several threads: those of PyTorch's own OpenMP team where it has one, else a pool.

PyTorch's threads keep a core busy for milliseconds after each of its operations, waiting for the next one. Threads of
another pool would have to share the cores with them; and within an OpenMP region PyTorch's matrix products know that
they are not alone and use one thread each.
"""

import contextlib
import ctypes
import functools
import itertools
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

# Multiply-adds below which a second thread costs more than it brings: a quarter of a millisecond.
SERIAL_WORK = 1 << 23
# What a thread takes at once, at least: it must ask for Python's lock each time, and another may be late.
_PIECE_WORK = 1 << 21


def threads_for(work: int) -> int:
    """How many threads are worth it for so many multiply-adds."""
    return max(1, min(torch.get_num_threads(), -(-work // SERIAL_WORK)))


def parallel(kernel: Callable[..., None], units: int, work: int, args: list[Any]) -> None:
    """Call `kernel(*args, start, stop)` on pieces of range(units), `work` multiply-adds in all, on several threads."""
    threads = min(threads_for(work), units)
    if threads <= 1:
        kernel(*args, 0, units)
        return
    pieces = min(units, max(threads, min(work // _PIECE_WORK, 4 * threads)))

    def run(piece: int) -> None:
        kernel(*args, piece * units // pieces, (piece + 1) * units // pieces)

    share(run, pieces, threads)


def share(run: Callable[[int], None], pieces: int, threads: int) -> None:
    """Call `run(piece)` for every piece of range(pieces), each thread taking the next one when it is ready.

    The caller works too, and where another thread comes late, does its pieces.
    """
    queue = itertools.count()  # next() on it is atomic

    def take() -> None:
        while (piece := next(queue)) < pieces:
            run(piece)

    if threads <= 1:
        take()
    elif (entry := openmp_entry()) is not None:
        _on_openmp_threads(entry, take, threads)
    else:
        _on_pool(take, threads)


def _on_openmp_threads(openmp: Any, take: Callable[[], None], threads: int) -> None:
    errors: list[BaseException] = []

    def run(_: None) -> None:
        try:
            take()
        except BaseException as error:  # must not cross the C frames between here and the caller
            errors.append(error)

    openmp(_REGION(run), None, threads, 0)
    if errors:
        raise errors[0]


def _on_pool(take: Callable[[], None], threads: int) -> None:
    others = []
    try:
        with contextlib.suppress(RuntimeError):  # the interpreter is shutting down: no more threads
            others.extend(_pool().submit(take) for _ in range(threads - 1))
        take()
    finally:
        for other in others:
            if not other.cancel():  # one that has not begun has nothing left to do
                other.result()


_REGION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@functools.cache
def openmp_entry() -> Any | None:
    """`GOMP_parallel` of the OpenMP library that PyTorch is linked to, the entry of a parallel region; None without.

    GNU's, LLVM's and Intel's libraries have it, but not on every system: where it is not found, one line says so.
    """
    if _forked:  # those of the parent; there are none here
        return None
    for library in (Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*"):
        with contextlib.suppress(OSError, AttributeError):
            region = ctypes.CDLL(str(library)).GOMP_parallel  # found in what the library is linked to
            region.argtypes = [_REGION, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            region.restype = None
            return region
    print(
        f"multiresconv: PyTorch {torch.__version__} has no OpenMP entry that is known here; operators on the CPU use "
        "threads of their own beside PyTorch's, which is slower",
        file=sys.stderr,
        flush=True,
    )
    return None


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="multiresconv")


_forked = False


def _forget_threads() -> None:
    """A forked child inherits both pools but none of their threads, and would wait for OpenMP's forever."""
    global _forked
    _forked = True
    openmp_entry.cache_clear()
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
