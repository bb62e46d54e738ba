"""Keep the docstring of its type out of the description of a constant: `RATE` is not "int([x]) -> integer"."""

from typing import Any

from sphinx.application import Sphinx


def drop_docstring_of_type(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Empty the docstring of a constant; the page that lists it says what it is."""
    if what == "data":
        lines.clear()


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", drop_docstring_of_type)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
