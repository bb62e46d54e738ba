"""Read `SHA256SUMS.txt`, the list of the files of PTB-XL."""

import re
from pathlib import Path

CHECKSUMS = "SHA256SUMS.txt"


def read_checksums(folder: Path) -> dict[str, str]:
    """Return path inside the folder -> SHA-256 in hexadecimal.

    Raises:
        ValueError: a line is not a checksum and a path.
    """
    path = folder / CHECKSUMS
    checksums: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *]?(\S+)", line)
        if not match:
            raise ValueError(
                f"{path}, line {number}: expected a SHA-256 and a path, got {line[:60]!r}; "
                "delete the file, and download again: multiresconv data ptbxl"
            )
        checksums[match[2]] = match[1]
    return checksums
