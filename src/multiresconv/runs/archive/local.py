"""Do tasks in processes of this machine."""

import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from multiresconv.runs.archive.part import attempt, prepared_model
from multiresconv.runs.archive.work import Outcome, Task, Work
from multiresconv.spawning import main_module_hidden

STARTS = 3  # processes in a row that may die before they are ready


def run_local(work: Work, tasks: Sequence[Task], workers: int) -> Generator[Outcome, None, None]:
    """Yield the outcome of each task as it becomes known; a task whose process dies is left out.

    Args:
        work: what is done.
        tasks: what to do.
        workers: processes.

    Raises:
        ChildProcessError: processes die before they are ready.
    """
    waiting, died_at_start = deque(tasks), 0
    crew: dict[Any, _Worker] = {}  # those that are starting or busy, by their connections
    try:
        for _ in range(min(workers, len(tasks))):
            _join(crew, _Worker(work))
        while crew:
            for connection in wait(list(crew)):
                worker = crew[connection]
                try:
                    outcome = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    died_at_start = 0 if worker.began else died_at_start + 1
                    if died_at_start == STARTS:
                        raise ChildProcessError(
                            "processes die before they are ready, perhaps for lack of memory"
                        ) from None
                    crew.pop(connection).end()
                    if waiting:
                        _join(crew, _Worker(work))
                    continue
                died_at_start = 0
                if outcome is not None:
                    yield outcome
                if waiting:
                    worker.begin(waiting.popleft())
                else:
                    crew.pop(connection).end()
    finally:
        for worker in crew.values():
            worker.end()


def _join(crew: dict[Any, "_Worker"], worker: "_Worker") -> None:
    crew[worker.connection] = worker


class _Worker:
    """A process that does one task at a time.

    Attributes:
        connection: gives None when the process is ready, then the outcome of each task; its end means that it died.
        began: True once a task was given.
    """

    def __init__(self, work: Work) -> None:
        context = get_context("spawn")  # torch's threads do not fork
        self.connection, theirs = context.Pipe()
        self.began = False
        self._process = context.Process(target=serve, args=(theirs, work), daemon=True)
        with main_module_hidden(), _interrupts_held():
            self._process.start()
        theirs.close()  # so that the connection ends with the process

    def begin(self, task: Task) -> None:
        self.began = True
        with suppress(BrokenPipeError):  # the process has just died, which the connection tells as well
            self.connection.send(task)

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self.connection.close()


def serve(connection: Connection, work: Work) -> None:
    """Do the tasks that come over the connection, until it or the process at its other end ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(ImportError, OSError, ValueError):  # the first task tells what is wrong with the model
        prepared_model(work)
    connection.send(None)
    with suppress(EOFError, BrokenPipeError):
        while True:
            connection.send(attempt(work, connection.recv()))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach; the one that starts them ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # a process of multiprocessing, whose start lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
