"""`multiresconv report RUN`."""

from pathlib import Path

from multiresconv.cli.tasks import restore
from multiresconv.runs.directory import RunDirectory


def report(run: Path, task: str | None = None) -> int:
    """Write report.html into a run: data, scores, curves, pictures and how to use the model, in one file.

    Args:
        run: the run directory.
        task: FILE.py:CLASS of a task of your own; a run alone never makes this command run a file.
    """
    from multiresconv.runs.report import write_report

    directory = RunDirectory(run)
    built, _ = restore(directory)
    print(write_report(built, directory))
    return 0
