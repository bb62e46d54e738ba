"""Check a folder of PTB-XL, file by file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from multiresconv.data.ptbxl.checksums import CHECKSUMS, read_checksums
from multiresconv.data.ptbxl.entries import DATABASE, read_entries
from multiresconv.data.ptbxl.folder import check_folder, is_there
from multiresconv.data.ptbxl.labels import STATEMENTS, read_statements
from multiresconv.data.ptbxl.records import read_ptbxl_record

_MAX_LISTED = 10  # damaged files in one message


def verify_ptbxl(folder: str | Path) -> str:
    """Check both tables and every record in the folder; records may be missing.

    Returns:
        One line that says how many statements and records were found.

    Raises:
        FileNotFoundError: not a folder of PTB-XL.
        ValueError: a malformed table, no record, or damaged files; the message names the first ten.
        ModuleNotFoundError: the ECG extra is not installed.
    """
    from tqdm import tqdm  # not at the top: needs the training extra

    folder = Path(folder)
    check_folder(folder)
    statements = read_statements(folder)
    entries = read_entries(folder, statements)
    present = [entry for entry in entries if is_there(folder, entry)]
    if not present:
        raise ValueError(f"{folder}: {len(entries)} records are listed, and the files of all are missing")
    checksums = read_checksums(folder) if (folder / CHECKSUMS).is_file() else {}
    damaged = [error for name in (DATABASE, STATEMENTS) for error in _checksum_errors(folder, name, checksums)]
    for entry in tqdm(present, desc="verify", unit=" records", disable=None):
        try:
            read_ptbxl_record(folder / entry.record)
        except (ValueError, OSError) as error:
            damaged.append(f"{entry.record}: {error}")
            continue
        for suffix in (".hea", ".dat"):
            damaged += _checksum_errors(folder, entry.record + suffix, checksums)
    if damaged:
        more = f"; and {len(damaged) - _MAX_LISTED} more" if len(damaged) > _MAX_LISTED else ""
        raise ValueError(f"{folder}: {len(damaged)} damaged: {'; '.join(damaged[:_MAX_LISTED])}{more}")
    compared = f", their SHA-256 as in {CHECKSUMS}" if checksums else ""
    return (
        f"{len(statements)} statements, {len(entries)} records listed, {len(present)} there and sound{compared}, "
        f"{len(entries) - len(present)} missing"
    )


def _checksum_errors(folder: Path, name: str, checksums: Mapping[str, str]) -> list[str]:
    """Return one error if the file's SHA-256 differs from the listed one, else none; an unlisted file passes."""
    if name not in checksums or hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksums[name]:
        return []
    return [f"{name}: another SHA-256 than in {CHECKSUMS}"]
