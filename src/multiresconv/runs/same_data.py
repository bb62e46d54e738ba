"""Whether a task's data are those that a run began with."""

from typing import Any

from multiresconv.runs.directory import RunDirectory
from multiresconv.tasks import Task


def check_data(task: Task, directory: RunDirectory) -> None:
    """Raise ValueError if the data differ from those with which the run began."""
    begun_with, seen = _fingerprints(task, directory)
    if begun_with != seen:
        raise ValueError(
            f"data: expected those that {directory.path} began with, {begun_with}, got {seen}; "
            "restore the original data, or start another run"
        )


def holds_other_data(task: Task, directory: RunDirectory) -> bool:
    """Return True if the rows of training and validation in the task's folder are missing or not those of the run."""
    try:
        begun_with, seen = _fingerprints(task, directory)
    except FileNotFoundError:
        return True
    return begun_with != seen


def _fingerprints(task: Task, directory: RunDirectory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fingerprint of the data that a run began with, and that of the task's data now."""
    seen = task.fingerprint()
    return {split: rows for split, rows in directory.read_about().get("data", seen).items() if split in seen}, seen
