"""Let a link of a Markdown page to a file or folder of the repository lead to the page of the site that shows it.

A page is read on the site and on the repository's own page, which shows a folder by its README.md and a script by its
text. On the site, a folder becomes the page of its README.md, a script of `examples/` its page of the gallery, and the
README.md there the gallery itself. Every other file is a download, which MyST does by itself; a link that leads nowhere
stays as it is, and MyST warns.
"""

from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class RepositoryLinks(SphinxTransform):
    """Replace links to folders and examples by links to pages."""

    default_priority = 5  # before files are collected as downloads

    def apply(self, **kwargs: Any) -> None:
        for link in list(self.document.findall(nodes.Element)):
            if link.get("reftype") == "myst" and link["reftarget"] not in self.env.found_docs:
                page = self._page(self._path(link))
                if page in self.env.found_docs:
                    link.replace_self(_link_to_page(link, page))

    def _path(self, link: nodes.Element) -> PurePosixPath:
        """Return the path, from the root of the repository, that a link names."""
        if link["refdomain"] == "doc":  # MyST has found a Markdown file that is not a page
            return PurePosixPath(f"{link['reftarget']}.md")
        return PurePosixPath(self.env.relfn2path(link["reftarget"].partition("#")[0], self.env.docname)[0])

    def _page(self, path: PurePosixPath) -> str:
        """Return the name of the page that shows a file or folder; of other files any name that is no page."""
        if (Path(self.env.srcdir) / path).is_dir():
            path /= "README.md"
        gallery = self.config.sphinx_gallery_conf
        if str(path.parent) == gallery["examples_dirs"][0]:
            return f"{gallery['gallery_dirs'][0]}/{'index' if path.name == 'README.md' else path.stem}"
        return str(path.with_suffix("")) if path.suffix == ".md" else ""


def _link_to_page(link: nodes.Element, page: str) -> addnodes.pending_xref:
    attributes = {"refdoc": link["refdoc"], "refexplicit": link["refexplicit"], "reftargetid": None}
    replacement = addnodes.pending_xref(refdomain="doc", reftype="myst", reftarget=page, **attributes)
    replacement.source, replacement.line = link.source, link.line
    for child in link.findall(nodes.inline):
        child["classes"] = [name for name in child["classes"] if name != "download"]
    replacement += link.children
    return replacement


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_transform(RepositoryLinks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
