"""Stop a run on Ctrl-C, SIGTERM or a time limit, after the current step and with a checkpoint."""

import signal
import threading
import time
from datetime import timedelta
from types import FrameType
from typing import Any


class Stopped(Exception):
    """The run stopped early; its directory can be resumed."""

    def __init__(self, step: int, exit_code: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step, self.exit_code = step, exit_code


class StopRequest:
    """Tells whether the run should stop, and the exit code: 128 + signal number, or 0 when the time is over."""

    def __init__(self, max_time: timedelta | None = None) -> None:
        self.deadline = None if max_time is None else time.monotonic() + max_time.total_seconds()
        self.signal: int | None = None
        self.handlers: dict[int, Any] = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}

    def wanted(self) -> bool:
        return self.signal is not None or (self.deadline is not None and time.monotonic() >= self.deadline)

    @property
    def exit_code(self) -> int:
        return 0 if self.signal is None else 128 + self.signal

    def listen(self) -> None:
        """Make SIGINT and SIGTERM set a flag instead of ending the process; a second signal ends it at once."""
        if threading.current_thread() is threading.main_thread():  # no other thread may set signal handlers
            for number in self.handlers:
                signal.signal(number, self._note)

    def release(self) -> None:
        """Restore the signal handlers from before this object was created."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self.handlers.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        for each in self.handlers:
            signal.signal(each, signal.default_int_handler)


def parse_time(text: str, option: str) -> timedelta:
    """Parse HH:MM:SS or DD:HH:MM:SS; errors name the option.

    Raises:
        ValueError: the text has another form.
    """
    parts = text.split(":")
    if len(parts) not in (3, 4) or not all(part.isdigit() for part in parts):
        raise ValueError(f"{option}: expected HH:MM:SS or DD:HH:MM:SS, got {text!r}")
    days, hours, minutes, seconds = (int(part) for part in (["0", *parts])[-4:])
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError(f"{option}: expected less than a billion days, got {text!r}") from None
