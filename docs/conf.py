"""The documentation site: `make docs` builds it into build/docs.

The source directory is the root of the repository, so that links between docs/, results/ and benchmarks/ lead to the
same files on the site and on the repository's own page. The build needs no network, so names of other libraries are no
links.
"""

import sys
from pathlib import Path

import multiresconv

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "multiresconv"
author = "The multiresconv authors"
copyright = author
version = release = multiresconv.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "benchmark_titles",
    "constants",
    "documented_names",
    "gallery_runs",
    "named_tuples",
    "repository_links",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "results/README.md",
    "results/models.md",
    "results/**/README.md",
    "benchmarks/results/*.md",
    "build/gallery/**",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [".*", "build/docs", "build/live", "data", "dist", "runs", "src", "tests", "**/__pycache__"]
nitpicky = True
OTHERS = "Figure|Metric|Module|NDArray|Tensor|collections|datetime|nn|np|numpy|os|pathlib|sklearn|torch"
nitpick_ignore_regex = [("py:.*", rf"({OTHERS})\b.*")]

myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
suppress_warnings: list[str] = []

default_role = "py:obj"  # docstrings write code in single backticks
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # PyTorch describes its own methods
SET_BY_SKLEARN = ", ".join(f"set_{name}_request" for name in ("fit", "predict", "score", "transform"))
autodoc_default_options = {"members": True, "show-inheritance": True, "exclude-members": SET_BY_SKLEARN}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False  # "y: (B, D, L)" in Returns names an array, not a type
python_maximum_signature_line_length = 88

sphinx_gallery_conf = {
    "examples_dirs": ["examples"],
    "gallery_dirs": ["build/gallery"],
    "filename_pattern": "stream_activities",  # the others train or download: they are shown, not run
    "ignore_pattern": "make_recordings|my_tasks",
    "reset_argv": "gallery_runs.arguments",
    "remove_config_comments": True,
    "download_all_examples": False,
    "write_computation_times": False,
    "default_thumb_file": str(HERE / "pictures" / "footprints.png"),  # of the example without a kept picture
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "multiresconv"
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}
ALONE = ("docs/start", "docs/idea", "docs/which-model", "docs/cite", "CHANGELOG", "CONTRIBUTING", "docs/index")
html_sidebars: dict[str, list[str]] = {page: [] for page in ALONE}
html_static_path = ["_static"]
templates_path = ["_templates"]
html_additional_pages = {"index": "redirect.html"}
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
copybutton_exclude = ".linenos, .gp, .go"
