"""A folder of PTB-XL, whole or a part of it."""

import os
from pathlib import Path

from multiresconv.data.ptbxl.entries import DATABASE, Entry
from multiresconv.data.ptbxl.labels import STATEMENTS

UNFINISHED = "unfinished-download"  # a file that is there from a download's beginning to its end


def lacks(folder: Path) -> str | None:
    """What keeps the folder from being used, if anything; single records may be missing."""
    if (folder / UNFINISHED).exists():
        return f"its download is not finished (if the files came from elsewhere since, delete {UNFINISHED} there)"
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
    """Header and samples of a record; no `Path`, which would take seconds for all of them."""
    return f"{folder}/{entry.record}.hea", f"{folder}/{entry.record}.dat"


def is_there(folder: Path, entry: Entry) -> bool:
    return all(map(os.path.isfile, files_of(folder, entry)))
