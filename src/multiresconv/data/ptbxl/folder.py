"""A folder of PTB-XL, complete or with some of its records."""

import os
from pathlib import Path

from multiresconv.data.ptbxl.entries import DATABASE, Entry
from multiresconv.data.ptbxl.labels import STATEMENTS

UNFINISHED = "unfinished-download"  # this file exists while a download is unfinished


def lacks(folder: Path) -> str | None:
    """Return why the folder cannot be used, or None if it can; single records may be missing."""
    if (folder / UNFINISHED).exists():
        return f"its download is not finished (if you have added the files another way, delete {UNFINISHED} there)"
    for name in (DATABASE, STATEMENTS):
        if not (folder / name).is_file():
            return f"it has no {name}"
    return None if (folder / "records100").is_dir() else "it has no records100, the records at 100 Hz"


def check_folder(folder: Path) -> None:
    """Raise FileNotFoundError unless the folder can be used."""
    reason = lacks(folder) if folder.is_dir() else "no such folder"
    if reason:
        raise FileNotFoundError(f"{folder}: {reason}; name another folder, or download: multiresconv data ptbxl")


def files_of(folder: Path, entry: Entry) -> tuple[str, str]:
    """Return the paths of a record's header and samples, as strings: `Path` objects would take seconds in all."""
    return f"{folder}/{entry.record}.hea", f"{folder}/{entry.record}.dat"


def is_there(folder: Path, entry: Entry) -> bool:
    return all(map(os.path.isfile, files_of(folder, entry)))
