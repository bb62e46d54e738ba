"""The folder of the answers for an archive: Parquet files that together are one data set.

    part-00000000.parquet, ...  the answers for consecutive parts of the table, each written whole or not at all
    _manifest.json              what the answers were made with
    _rows.parquet               the rows of the table
    _SUCCESS                    how many rows there are and how many failed; written last

Readers such as pyarrow pass over names that begin with an underscore or a point; others take part-*.parquet.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiresconv.data.readers.extras import load_extra
from multiresconv.fields import COUNT, MAPPING, TEXT, check_fields
from multiresconv.files import write_atomically, write_json
from multiresconv.locks import locked
from multiresconv.runs.archive.rows import write_rows
from multiresconv.runs.documents import parse_json, read_text

FORMAT = 1
_MANIFEST = {"format": COUNT, "model": TEXT, "table": TEXT, "options": MAPPING, "rows": COUNT}
_PART = re.compile(r"part-(\d{8,})\.parquet")
_LOCK = ".lock"


@dataclass(frozen=True)
class AnswersFolder:
    """The files of a folder of answers."""

    path: Path

    @property
    def manifest(self) -> Path:
        return self.path / "_manifest.json"

    @property
    def rows(self) -> Path:
        return self.path / "_rows.parquet"

    @property
    def mark(self) -> Path:
        return self.path / "_SUCCESS"

    def part(self, number: int) -> Path:
        return self.path / f"part-{number:08}.parquet"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing here; create the folder if there is none.

        Raises:
            BlockingIOError: another process writes here.
            FileExistsError: the folder holds something else.
        """
        self._check_is_ours()
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / _LOCK, f"{self.path}: another process is writing these predictions right now"):
            for part in self.path.glob(".*.part-*"):  # left by a process that was killed while writing
                with suppress(OSError):
                    part.unlink()
            yield

    def begin(self, table: Path, model: Path, options: Mapping[str, Any], rows_of_part: int) -> int:
        """Write the rows of the table and the manifest, or check them if they are there; return the number of rows.

        Raises:
            OSError: a file cannot be read or written.
            ValueError: the table is malformed, or the folder was begun with another model, table or options.
        """
        about = {
            "format": FORMAT,
            "model": _digest(model / "config.json", model / "model.safetensors"),
            "table": _digest(table),
            "options": {**options, "rows_of_part": rows_of_part},
        }
        if not self.manifest.exists():
            write_json(self.manifest, {**about, "rows": write_rows(table, self.rows, rows_of_part)})
        found = parse_json(read_text(self.manifest), str(self.manifest))
        check_fields(found, _MANIFEST, str(self.manifest))
        for name, value in about.items():
            if found[name] != value:
                what = _difference(found[name], value) if name == "options" else f"another {name}"
                raise ValueError(f"{self.path}: was begun with {what}; go on as it was begun, or name another --out")
        return found["rows"]

    def done(self) -> dict[int, int]:
        """Return how many answers are errors, for each part that is done.

        Raises:
            ValueError: a part is damaged; the message names its file.
        """
        numbers = (_PART.fullmatch(path.name) for path in self.path.iterdir())
        return {int(match[1]): self._failed(self.path / match[0]) for match in numbers if match}

    def write(self, number: int, answers: bytes) -> None:
        """Write a part, a Parquet file."""
        write_atomically(self.part(number), lambda part: part.write_bytes(answers))

    def finish(self, rows: int, failed: int) -> None:
        """Write the finish mark."""
        write_json(self.mark, {"rows": rows, "failed": failed})

    def _failed(self, path: Path) -> int:
        arrow, parquet = load_extra("pyarrow", "Archives"), load_extra("pyarrow.parquet", "Archives")
        try:
            errors = parquet.ParquetFile(path).read(["error"]).column("error")
        except (arrow.ArrowException, KeyError, OSError) as error:
            what = " ".join(str(error).split())[:200]
            raise ValueError(f"{path}: damaged; delete it, and it is predicted again: {what}") from None
        return len(errors) - errors.null_count

    def _check_is_ours(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(f"out: {self.path} is a file; name a folder with --out")
        if not self.path.is_dir() or self.manifest.is_file():
            return
        others = (path.name for path in self.path.iterdir() if path != self.rows and not path.name.startswith("."))
        if other := next(others, None):
            raise FileExistsError(f"out: {self.path} holds other files, such as {other}; name another with --out")


def _digest(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _difference(found: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {found.get(name)} instead of {value}" for name, value in given.items() if found.get(name) != value
    )
