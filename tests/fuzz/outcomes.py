"""Run the command line on a damaged file in this process, and classify what it does."""

import contextlib
import functools
import io
import re
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from fuzz.kinds import Kind
from fuzz.samples import copy

from multiresconv.cli.parsers import build_parsers

PARSERS = functools.cache(build_parsers)
SAME, OTHER, REFUSED, WRONG = "same answer", "other valid file", "refused", "WRONG"


class Outcome(NamedTuple):
    name: str
    said: str  # what it said, if it is wrong


class Sample:
    """A valid file of a kind, and the answer to it.

    Args:
        kind: the kind.
        folder: an empty folder, for the file and what stands beside it.
    """

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.path = kind.make(folder)
        self.data = self.path.read_bytes()
        code, self.answer, error = self._run(self.data)
        assert code == 0, f"the valid {kind.name}: {error}"

    def outcome(self, data: bytes) -> Outcome:
        """Classify what the command line does with other content of the file."""
        code, said, error = self._run(data)
        if code == 0 and said == self.answer:
            return Outcome(SAME, "")
        if code == 0 and not self.kind.has_checksum and not re.search(r"\bnan\b", said):
            return Outcome(OTHER, "")
        lines = error.splitlines()
        if code == 2 and len(lines) == 1 and any(name in lines[0] for name in self.kind.names):
            return Outcome(REFUSED, "")
        return Outcome(WRONG, f"exit code {code}\n{said[-500:]}\n{error[-3000:]}")

    def _run(self, data: bytes) -> tuple[int | None, str, str]:
        """Return exit code (None for a traceback), standard output and standard error, without the folder's name."""
        output, error = io.StringIO(), io.StringIO()
        with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
            path = copy(self.folder, Path(place) / "case") / self.path.relative_to(self.folder)
            path.write_bytes(data)
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error), _quickly():
                try:
                    code = self.kind.run(path)
                except Exception:  # the law is that there is none
                    code, trace = None, traceback.format_exc()
                    print(trace, file=error)
        return code, output.getvalue().replace(place, ""), error.getvalue()


@contextlib.contextmanager
def _quickly() -> Iterator[None]:
    """Leave out what takes longest and reads no file: drawing, and building the parsers anew for each case."""
    with (
        mock.patch("multiresconv.runs.train.draw"),
        mock.patch("multiresconv.runs.evaluate.save_figure"),
        mock.patch("multiresconv.cli.dispatch.build_parsers", PARSERS),
    ):
        yield
