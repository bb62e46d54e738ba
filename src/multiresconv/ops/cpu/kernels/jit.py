"""Compilation of the kernels: `kernel` for functions that Python calls, `inline` and `exact` for those kernels call.

Numba caches a kernel's machine code on disk until the file that defines the kernel changes. A kernel also uses
functions of other files, so its name in the cache contains a digest of all files in this folder. A change in any of
them gives a new name, and the kernel is compiled again.

Functions called by kernels are always inlined. Otherwise LLVM keeps some of them as weak symbols, optimised differently
in each kernel, and the one loaded first would serve all kernels. The process that compiles would then round differently
from later ones, which load from disk. A kernel must not call another kernel for this reason.
"""

import contextlib
import hashlib
import sys
import threading
import time
import warnings
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from numba import cfunc, njit, types
from numba.core import event

# No flag that assumes finite numbers: infinities and NaNs keep their meaning.
_FAST = {"contract", "reassoc", "nsz"}
# Seconds of compiling after which a line on stderr says why nothing seems to happen.
PATIENCE = 2.0


_PACKAGE = "multiresconv.ops.cpu.kernels"


def _digest() -> str:
    files = sorted((f for f in resources.files(_PACKAGE).iterdir() if f.name.endswith(".py")), key=lambda f: f.name)
    return hashlib.sha256(b"".join(f.name.encode() + f.read_bytes() for f in files)).hexdigest()[:16]


_DIGEST = _digest()

inline = njit(fastmath=_FAST, error_model="numpy", forceinline=True)
"""Compile a function that kernels call."""

exact = njit(fastmath={"contract"}, error_model="numpy", forceinline=True)
"""Like `inline`, for arithmetic that reassociation would break."""


def kernel(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a function on first use and cache the machine code on disk, if a folder is writable."""
    function.__qualname__ = f"{_DIGEST}.{function.__qualname__}"
    try:
        return njit(fastmath=_FAST, error_model="numpy", nogil=True, cache=True)(function)
    except RuntimeError as error:
        warnings.warn(
            f"{error}; it is compiled anew in every process, for seconds: set NUMBA_CACHE_DIR to a folder that can be "
            "written to",
            stacklevel=2,
        )
        return njit(fastmath=_FAST, error_model="numpy", nogil=True)(function)


def callback(function: Callable[..., None]) -> int:
    """Compile a function of one pointer for native threads, which call it without Python; return its address.

    The machine code is kept on disk as that of a `kernel` is.
    """
    dispatcher: Any = kernel(function)  # never called; it names the function and finds the place for the cache
    cached = dispatcher.stats.cache_path is not None
    options: dict[str, Any] = {"nopython": True, "fastmath": _FAST, "error_model": "numpy", "cache": cached}
    with event.trigger_event("numba:compile", data={"dispatcher": dispatcher}):
        compiled = cfunc(types.void(types.voidptr), **options)(function)
    _CALLBACKS.append(compiled)
    assert compiled.address is not None  # it is None before compiling only
    return compiled.address


_CALLBACKS: list[Any] = []  # keeps the machine code alive


class _Watch(event.Listener):
    """Prints one line per process if compiling takes long, and deletes cached code of older kernels.

    Numba compiles one kernel at a time. The functions that a kernel calls are compiled within the kernel's event.
    """

    def __init__(self) -> None:
        self._nested = 0
        self._began = 0.0
        self._spent = 0.0
        self._said = False
        self._timer = threading.Timer(PATIENCE, self._say)

    def on_start(self, event: event.Event) -> None:
        if not _is_ours(event):
            return
        self._nested += 1
        if self._nested == 1 and not self._said:
            self._began = time.monotonic()
            self._timer = threading.Timer(max(0, PATIENCE - self._spent), self._say)
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, event: event.Event) -> None:
        if not _is_ours(event):
            return
        self._nested -= 1
        if self._nested == 0:
            self._timer.cancel()
            self._spent += time.monotonic() - self._began
            _remove_older((event.data or {})["dispatcher"])

    def _say(self) -> None:
        self._said = True
        print(
            "multiresconv: compiling kernels for this machine; later processes load them from a cache",
            file=sys.stderr,
            flush=True,
        )


def _is_ours(event: event.Event) -> bool:
    return (event.data or {})["dispatcher"].py_func.__module__.startswith(_PACKAGE)


def _remove_older(dispatcher: Any) -> None:
    """Delete the cached machine code of this file's kernels with another digest."""
    if dispatcher.stats.cache_path is None:
        return
    module = dispatcher.py_func.__module__.rpartition(".")[2]
    for path in Path(dispatcher.stats.cache_path).glob(f"{module}.*.nb[ic]"):
        if path.name.split(".")[1] != _DIGEST:
            with contextlib.suppress(OSError):  # another process has deleted it or is using it
                path.unlink()


event.register("numba:compile", _Watch())
