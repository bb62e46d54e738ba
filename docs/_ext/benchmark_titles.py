"""Begin the tables of `benchmarks/results` with what the script that wrote them says of itself."""

import ast
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

FOLDER = "benchmarks/results/"


def add_title(app: Sphinx, name: str, source: list[str]) -> None:
    """Put the script's docstring before a table, its first clause as the title; a page with a title stays as it is."""
    if not name.startswith(FOLDER) or source[0].startswith("#"):
        return
    table, folder = name.removeprefix(FOLDER), Path(app.srcdir) / "benchmarks"
    script = next(path for path in (folder / f"bench_{table}.py", folder / f"{table}.py") if path.is_file())
    purpose = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    title = re.split("[.:;,]", purpose, maxsplit=1)[0]
    source[0] = f"# {title}\n\n{purpose}\n\n{source[0]}"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", add_title)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
