"""Read the recordings of a table one after another, in several processes if there are many."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby
from multiprocessing import get_context

from multiresconv.data.readers.job import Job, Unreadable, read_job
from multiresconv.data.readers.recording import Recording, Wanted
from multiresconv.data.recordings.rows import Row
from multiresconv.spawning import main_module_hidden

MOST = 8  # processes, if their number is not given
WORTH = 64  # files from which on processes are started, if their number is not given


def read_rows(
    rows: Sequence[Row], channels: tuple[str, ...] | None, rate: float | None, *, skip: bool, workers: int | None
) -> Iterator[Recording | Unreadable]:
    """Yield the recording of each row in order; consecutive rows of one file are read together.

    Args:
        rows: the rows.
        channels: names of the channels to read, None for all.
        rate: samples per second to return, None to keep that of the file.
        skip: yield `Unreadable` instead of raising an error if a recording cannot be read.
        workers: processes; 0 and 1 read in this one; None chooses by the number of files and processors.

    Raises:
        OSError, ValueError: a recording cannot be read; the message names its file.
        RuntimeError: a process died.
    """
    jobs = [
        Job(file, tuple(Wanted(channels, rate, row.start, row.stop) for row in of_file), skip)
        for file, of_file in groupby(rows, key=lambda row: row.file)
    ]
    if workers is None:
        workers = min(MOST, os.cpu_count() or 1) if len(jobs) >= WORTH else 0
    if workers < 2:
        for job in jobs:
            yield from read_job(job)
        return
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn"))  # torch's threads do not fork
    try:
        for result in _in_order(pool, jobs, 2 * workers):
            yield from result
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, jobs: Sequence[Job], ahead: int) -> Iterator[list[Recording | Unreadable]]:
    """Yield the results in order; at most `ahead` jobs are begun before, so that results do not fill the memory."""
    waiting, running = iter(jobs), deque[tuple[Job, Future[list[Recording | Unreadable]]]]()
    while True:
        while len(running) < ahead and (job := next(waiting, None)) is not None:
            with main_module_hidden():
                running.append((job, pool.submit(read_job, job)))
        if not running:
            return
        job, result = running.popleft()
        try:
            yield result.result()
        except BrokenProcessPool:
            raise RuntimeError(
                f"{job.file}: a process died while this file or one of the next {ahead} was read, perhaps for lack of "
                "memory; try again with --data.workers 1"
            ) from None
