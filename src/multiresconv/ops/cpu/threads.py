"""Run work on several threads: on PyTorch's OpenMP threads if they can be reached, else on a thread pool.

PyTorch's threads spin for milliseconds after each operation while they wait for the next one. The threads of a second
pool would compete with them for the cores. Within an OpenMP region, PyTorch's matrix products use one thread each.
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

# Multiply-adds per thread, about a quarter of a millisecond; for less, another thread costs more than it saves.
SERIAL_WORK = 1 << 23
# Smallest piece, in multiply-adds: for each piece a thread must acquire the GIL.
_PIECE_WORK = 1 << 21


def threads_for(work: int) -> int:
    """Return how many threads pay off for `work` multiply-adds."""
    return max(1, min(torch.get_num_threads(), -(-work // SERIAL_WORK)))


def parallel(kernel: Callable[..., None], units: int, work: int, args: list[Any]) -> None:
    """Call `kernel(*args, start, stop)` for pieces of range(units) on several threads.

    `work` is the total number of multiply-adds; it decides the number of threads and pieces.
    """
    threads = min(threads_for(work), units)
    if threads <= 1:
        kernel(*args, 0, units)
        return
    pieces = min(units, max(threads, min(work // _PIECE_WORK, 4 * threads)))

    def run(piece: int) -> None:
        kernel(*args, piece * units // pieces, (piece + 1) * units // pieces)

    share(run, pieces, threads)


def share(run: Callable[[int], None], pieces: int, threads: int) -> None:
    """Call `run(piece)` for every piece of range(pieces); each thread takes the next piece when it is ready.

    The caller works too, and takes over the pieces of threads that start late.
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


def call_native(function: int, argument: int, threads: int) -> None:
    """Call a native function of one pointer on several threads at once, without Python; return when all are done.

    Args:
        function: its address, as `kernels.jit.callback` gives it.
        argument: the address that every call gets.
        threads: how many calls.
    """
    native = _REGION(function)
    if threads <= 1:
        native(argument)
    elif (entry := openmp_entry()) is not None:
        entry(native, argument, threads, 0)
    else:
        _on_pool(lambda: native(argument), threads)


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
        with contextlib.suppress(RuntimeError):  # raised if the interpreter is shutting down
            others.extend(_pool().submit(take) for _ in range(threads - 1))
        take()
    finally:
        for other in others:
            if not other.cancel():  # a call that has not started has nothing left to do
                other.result()


_REGION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@functools.cache
def openmp_entry() -> Any | None:
    """Return `GOMP_parallel`, which runs a parallel region, from the OpenMP library that PyTorch is linked to.

    GNU's, LLVM's and Intel's libraries have it, but not on every system. If it is missing, return None and print one
    line to stderr.
    """
    if _forked:  # the OpenMP threads belong to the parent process
        return None
    for library in (Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*"):
        with contextlib.suppress(OSError, AttributeError):
            region = ctypes.CDLL(str(library)).GOMP_parallel  # the lookup includes the libraries it is linked to
            region.argtypes = [_REGION, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            region.restype = None
            return region
    print(
        f"multiresconv: found no OpenMP entry point (GOMP_parallel) in PyTorch {torch.__version__}; operators on the "
        "CPU use their own threads beside PyTorch's, which is slower",
        file=sys.stderr,
        flush=True,
    )
    return None


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="multiresconv")


_forked = False


def _forget_threads() -> None:
    """Drop both pools in a forked child, which has none of their threads and would wait for OpenMP's forever."""
    global _forked
    _forked = True
    openmp_entry.cache_clear()
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
