"""Link names of this package by their last part, as docstrings and type hints write them.

A docstring says `multires_conv`, a type hint `multiresconv.layers.memory.Memory`; the reference documents
`multiresconv.ops.multires_conv` and `multiresconv.layers.Memory`. A name in backticks that the reference does not have,
or has twice, stays code: it is an argument, a file, a value. So does the name of an inner class in a type hint. A name
of this package that does not exist gets no answer here, and Sphinx warns.
"""

from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

PACKAGE = "multiresconv."


def link_name(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Return a link to the only object of the reference with this name, the content alone, or None to be warned."""
    if node.get("refdomain") != "py":
        return None
    objects, target = env.domains.python_domain.objects, node["reftarget"]
    last = target.rpartition(".")[2] if target.startswith(PACKAGE) else target
    found = [name for name, entry in objects.items() if name.endswith(f".{last}") and not entry.aliased]
    if len(found) == 1:
        place = objects[found[0]]
        return make_refnode(app.builder, node["refdoc"], place.docname, place.node_id, content, found[0])
    return content if node["reftype"] == "obj" or _is_inner(target) else None


def _is_inner(name: str) -> bool:
    """Return True if a full name is one of this package's, which the reference does not list."""
    module, _, last = name.rpartition(".")
    try:
        return name.startswith(PACKAGE) and hasattr(import_module(module), last)
    except ImportError:
        return False


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("missing-reference", link_name)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
