"""Ctrl-C while modules are imported, which takes a second."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process with exit code 130, without a traceback.

    A KeyboardInterrupt would not do: some libraries turn one that is raised while they are imported into other errors.
    Nothing is lost, since no command has begun.
    """
    normal = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not normal or threading.current_thread() is not threading.main_thread():  # only there handlers can be set
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
