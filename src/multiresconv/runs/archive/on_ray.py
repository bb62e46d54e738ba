"""Do tasks on Ray: in processes of this machine, or on a cluster whose machines see the same files."""

import logging
import os
import socket
import sys
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from typing import Any

from multiresconv.data.readers.extras import load_extra
from multiresconv.runs.archive.part import attempt
from multiresconv.runs.archive.work import Answers, Failure, Outcome, Run, Task, Work

ADDRESS = "RAY_ADDRESS"
ALL_ROWS = -1  # in the place of the number of a row
PATIENCE = 5.0  # seconds that a cluster has to answer
TOKEN = "if it asks for a token, set RAY_AUTH_MODE=token, and the token in RAY_AUTH_TOKEN or ~/.ray/auth_token"


@contextmanager
def on_ray(workers: int | None, address: str | None) -> Iterator[Run]:
    """Yield a function that does tasks on Ray, see `run_local`; its first call begins the session, which ends here.

    The paths of the work have to mean the same on all machines.

    Args:
        workers: tasks that are done at the same time; None means as many as there are processors.
        address: of the cluster, as `ray.init` takes it; None means the variable RAY_ADDRESS, else this machine alone.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ConnectionError: there is no cluster at the address.
    """
    with ExitStack() as session:

        def run(work: Work, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
            ray = load_extra("ray", "Archives on Ray", "ray")
            if not ray.is_initialized():
                session.enter_context(_session(ray, workers, address))
            yield from _outcomes(work, tasks, workers)

        yield run


@contextmanager
def _session(ray: Any, workers: int | None, address: str | None) -> Iterator[None]:
    """Connect to the cluster, or start Ray on this machine; at the end leave it, or stop it."""
    address = address or os.environ.get(ADDRESS) or "local"
    _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here = {"num_cpus": workers, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **here)
    except ConnectionError as error:
        raise ConnectionError(f"address: {error}; {TOKEN}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raise ConnectionError if nothing answers at an address with a port; Ray would try for more than a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():  # "local", "auto"
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as error:
        raise ConnectionError(
            f"address: nothing answers at {address} ({error}); name the host and port that `ray start --head` printed"
        ) from None


def _outcomes(work: Work, tasks: Sequence[Task], workers: int | None) -> Iterator[Outcome]:
    """Yield the outcomes of tasks by Ray Data, except those whose processes die."""
    data = load_extra("ray.data", "Archives on Ray", "ray")
    context = data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.max_errored_blocks = -1  # `attempt` returns all other errors, so a block fails if its process dies
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # which would be told with a traceback
    items = [{"part": task.part, "row": ALL_ROWS if task.row is None else task.row} for task in tasks]
    given = data.from_items(items, override_num_blocks=len(items))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of max_retries; the extra ends before Ray 2.64
        outcomes = given.map(
            partial(_outcome, work),
            compute=data.TaskPoolStrategy(None if workers is None else min(workers, len(items))),
            num_cpus=1,
            max_retries=0,  # otherwise a task that kills its process is begun again without end
        )
    with redirect_stdout(sys.stderr):  # Ray prints when a process dies
        for row in outcomes.iter_rows():
            task = _task(row)
            if row["reason"]:
                yield Failure(task, row["reason"], row["expected"])
            else:
                yield Answers(task, row["table"], row["failed"])


def _outcome(work: Work, item: dict[str, Any]) -> dict[str, Any]:
    """Do a task, given and returned as a row of Ray Data."""
    outcome = attempt(work, _task(item))
    if isinstance(outcome, Failure):
        return {**item, "table": b"", "failed": 0, "reason": outcome.reason, "expected": outcome.expected}
    return {**item, "table": outcome.table, "failed": outcome.failed, "reason": "", "expected": True}


def _task(item: dict[str, Any]) -> Task:
    return Task(item["part"], None if item["row"] == ALL_ROWS else item["row"])
