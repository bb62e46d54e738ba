"""Predict an archive: a table of any number of recordings."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from multiresconv.models.files import load_model
from multiresconv.runs.archive.folder import AnswersFolder
from multiresconv.runs.archive.part import given_up, joined
from multiresconv.runs.archive.progress import ArchiveProgress
from multiresconv.runs.archive.work import Answers, Failure, Run, Task, Work

ATTEMPTS = 2  # at a row, after its part has killed a process
DIED = "each process that read or computed it died, perhaps for lack of memory"


class Totals(NamedTuple):
    """What a folder of answers holds."""

    rows: int  # of the table
    failed: int  # answers that are errors


def predict_archive(
    work: Work, table: Path, out: Path, run: Run, *, rows_of_part: int, options: dict[str, Any]
) -> Totals:
    """Predict the recordings of a table that are not predicted yet, and write their answers; see `AnswersFolder`.

    Args:
        work: what is done with each recording; `rows` is set here.
        table: a table (CSV or Parquet) with a row per recording; see `listed_sections`.
        out: the folder of the answers.
        run: does tasks; such as `run_local` or what `on_ray` yields.
        rows_of_part: rows of the table in a part.
        options: what the answers depend on beside model and table, ready for JSON. They have to be the same when the
            folder is gone on with.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: the table is malformed, or the folder was begun with another model, table or options.
        RuntimeError: a process failed, through no fault of a recording; the message is its traceback.
    """
    folder = AnswersFolder(out)
    with folder.locked():
        rows = folder.begin(table, work.model, options, rows_of_part)
        work, parts, done = replace(work, rows=folder.rows), -(-rows // rows_of_part), folder.done()

        def size(part: int) -> int:
            return min(rows_of_part, rows - part * rows_of_part)

        failed = sum(done.values())
        progress = ArchiveProgress(rows, sum(map(size, done)), failed)
        try:
            for answers in _parts(work, [part for part in range(parts) if part not in done], size, run):
                folder.write(answers.task.part, answers.table)
                failed += answers.failed
                progress.add(size(answers.task.part), answers.failed)
        finally:
            progress.close()
        folder.finish(rows, failed)
    return Totals(rows, failed)


def _parts(work: Work, parts: Sequence[int], size: Callable[[int], int], run: Run) -> Iterator[Answers]:
    """Yield the answers for parts; the rows of those that kill their processes are done one by one at the end."""
    left = dict.fromkeys(parts)
    for answers in _done(work, [Task(part) for part in parts], run):
        del left[answers.task.part]
        yield answers
    yield from _row_by_row(work, {part: size(part) for part in left}, run)


def _row_by_row(work: Work, sizes: dict[int, int], run: Run) -> Iterator[Answers]:
    """Yield the answers for parts, given their numbers of rows; rows that kill their processes become errors."""
    left = dict.fromkeys(Task(part, row) for part, size in sizes.items() for row in range(size))
    found: dict[int, dict[Task, Answers]] = {part: {} for part in sizes}
    for _ in range(ATTEMPTS):
        for answers in _done(work, list(left), run):
            del left[answers.task]
            part = answers.task.part
            found[part][answers.task] = answers
            if len(found[part]) == sizes[part]:
                yield joined(found.pop(part))
    output = load_model(work.model).output if left else None
    for task in left:
        assert output is not None
        found[task.part][task] = given_up(work, output, task, DIED)
    yield from map(joined, found.values())


def _done(work: Work, tasks: Sequence[Task], run: Run) -> Iterator[Answers]:
    """Yield the answers of tasks, except those whose processes die; raise what no recording is to blame for."""
    if not tasks:
        return
    with closing(run(work, tasks)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                raise (ValueError if outcome.expected else RuntimeError)(outcome.reason)
            yield outcome
