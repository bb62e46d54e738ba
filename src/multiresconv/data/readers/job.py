"""`Job`: sections of a file to read, perhaps in another process. Nothing here imports PyTorch: processes start fast."""

from pathlib import Path
from typing import NamedTuple

from multiresconv.data.readers.read_recording import read_sections
from multiresconv.data.readers.recording import Recording, Wanted


class Unreadable(NamedTuple):
    """What is wrong with a recording that cannot be read."""

    reason: str


class Job(NamedTuple):
    """Sections of a file."""

    file: str
    sections: tuple[Wanted, ...]
    skip: bool  # return `Unreadable` for a section that cannot be read


def read_job(job: Job) -> list[Recording | Unreadable]:
    """Read the sections of a file, in order.

    Raises:
        OSError: the file cannot be read, for a reason that may pass; or for any, if `skip` is False.
        ValueError: a section cannot be read, and `skip` is False; the message names the file.
        ModuleNotFoundError: the extra that reads this format is not installed.
    """
    found: list[Recording | Unreadable] = []
    sections = read_sections(Path(job.file), job.sections)
    for _ in job.sections:
        try:
            found.append(next(sections))
        except (ValueError, FileNotFoundError, PermissionError) as error:  # permanent, unlike other OSErrors
            if not job.skip:
                raise
            found.append(Unreadable(str(error)))
            sections = read_sections(Path(job.file), job.sections[len(found) :])
    return found
