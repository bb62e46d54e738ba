"""Show the progress of an archive: a bar or, if standard error is not a terminal, a line at times."""

import sys
import time

from tqdm import tqdm

_LINE_SECONDS = 30.0  # least time between two lines


class ArchiveProgress:
    """Shows how many rows are done and failed, rows per second and the remaining time.

    Args:
        total: rows of the table.
        done: rows that an earlier call has done.
        failed: errors among their answers.
    """

    def __init__(self, total: int, done: int, failed: int) -> None:
        self._total, self._begun_with, self._done, self._failed = total, done, done, failed
        self._begun_at = self._shown_at = time.monotonic()
        self._on_terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=done, unit=" rows", dynamic_ncols=True, disable=not self._on_terminal)

    def add(self, rows: int, failed: int) -> None:
        self._done += rows
        self._failed += failed
        self._bar.set_postfix_str(f"{self._failed:,} failed", refresh=False)
        self._bar.update(rows)
        now = time.monotonic()
        if self._on_terminal or now < self._shown_at + _LINE_SECONDS:
            return
        self._shown_at = now
        speed = (self._done - self._begun_with) / max(now - self._begun_at, 1e-9)
        left = tqdm.format_interval((self._total - self._done) / speed)
        share = f"{self._done:,} of {self._total:,} rows, {self._failed:,} failed"
        print(f"{share}, {speed:.1f} rows/s, {left} left", file=sys.stderr, flush=True)

    def close(self) -> None:
        self._bar.close()
