"""Leave the fields of named tuples to the section Attributes: Python's own text is "Alias for field number 0"."""

from typing import Any

from sphinx.application import Sphinx


def skip_field(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Return True for a field of a named tuple, else None, which leaves the choice to Sphinx."""
    return True if type(member).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-skip-member", skip_field)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
