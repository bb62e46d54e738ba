"""Examples of the gallery: what those that run get as arguments, and the kept pictures of those that do not.

An example runs while the site is built if it takes seconds and reads only what git holds (`filename_pattern` in
conf.py). The others train or download; they are shown with the picture of the run that `examples/README.md` reports.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

FOLDER = "build/gallery/"
END = ".. _sphx_glr_download_"


def arguments(gallery: dict[str, Any], script: dict[str, Any]) -> list[str]:
    """Return the arguments of an example, which runs in the folder `examples`."""
    return ["--data", "data/BasicMotions", "--folder", f"../build/gallery-runs/{Path(script['src_file']).stem}"]


def add_kept_picture(app: Sphinx, name: str, source: list[str]) -> None:
    """Put the kept picture at the end of an example that does not run."""
    example = name.removeprefix(FOLDER)
    pattern = app.config.sphinx_gallery_conf["filename_pattern"]
    if not name.startswith(FOLDER) or END not in source[0] or re.search(pattern, f"{example}.py"):
        return
    kept = f"examples/pictures/{example}.png"
    text = "This site did not run the example when it was built, because it trains or downloads.\n\n"
    if (Path(app.srcdir) / kept).is_file():
        text += f"The picture of a run on two cores:\n\n.. image:: /{kept}\n   :alt: the picture of {example}.py\n\n"
    source[0] = source[0].replace(END, f"{text}{END}", 1)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", add_kept_picture)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
