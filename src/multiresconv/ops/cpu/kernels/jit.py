"""How the kernels are compiled: `kernel` for what Python calls, `inline` and `exact` for what kernels call.

Numba keeps a kernel's machine code on disk until the file that defines it changes. A kernel is made of functions of
other files too, so its name there carries a digest of all files in this folder: a change in any of them makes a new
name, which is compiled anew.

What a kernel calls is inlined by force. Otherwise LLVM keeps some functions as weak symbols, of which every kernel has
its own optimised version; the one that happens to be loaded first would serve all of them, and the process that
compiles would round differently than later ones, which load from disk. A kernel that calls a kernel has this fault.
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

from numba import njit
from numba.core import event

# Contraction and reassociation only: infinities and NaNs keep their meaning.
_FAST = {"contract", "reassoc", "nsz"}
# Seconds of compiling after which a line on stderr says why nothing seems to happen.
PATIENCE = 2.0


_PACKAGE = "multiresconv.ops.cpu.kernels"


def _digest() -> str:
    files = sorted((f for f in resources.files(_PACKAGE).iterdir() if f.name.endswith(".py")), key=lambda f: f.name)
    return hashlib.sha256(b"".join(f.name.encode() + f.read_bytes() for f in files)).hexdigest()[:16]


_DIGEST = _digest()

inline = njit(fastmath=_FAST, error_model="numpy", forceinline=True)
"""Compile a function of kernels."""

exact = njit(fastmath={"contract"}, error_model="numpy", forceinline=True)
"""As `inline`, for arithmetic that reassociation would break."""


def kernel(function: Callable[..., None]) -> Callable[..., None]:
    """Compile on first use and keep the machine code on disk, wherever there is a place for it."""
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


class _Watch(event.Listener):
    """Says once per process that compiling takes long, and clears away the code of older kernels.

    Numba compiles one kernel at a time. The functions that a kernel calls are compiled within its own event.
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
    """Delete the machine code that kernels of this file had before the last change of a kernel file."""
    if dispatcher.stats.cache_path is None:
        return
    module = dispatcher.py_func.__module__.rpartition(".")[2]
    for path in Path(dispatcher.stats.cache_path).glob(f"{module}.*.nb[ic]"):
        if path.name.split(".")[1] != _DIGEST:
            with contextlib.suppress(OSError):  # another process deletes it, too, or runs it
                path.unlink()


event.register("numba:compile", _Watch())
