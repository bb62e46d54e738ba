"""Write the tables and commands of the pages, from what `evaluate`, the benchmarks and the runs have written.

    python docs/written

Each stands between two comments, see `sections.py`.
"""

from functools import partial
from pathlib import Path

import commands
import scores
import speed
from sections import with_section

ROOT = Path(__file__).resolve().parents[2]
# page -> name of each section -> what writes its content
SECTIONS = {
    "README.md": {"results": partial(scores.table, "results")},
    "docs/results.md": {"results": partial(scores.table, "../results"), "commands": commands.of_all_runs},
    "docs/which-model.md": {
        "layers": speed.layers,
        "features on development sets": partial(speed.features, "features_development"),
        "features": partial(speed.features, "features"),
    },
}


def written(page: str) -> str:
    """Return the text of a page with the sections of today."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, content in SECTIONS[page].items():
        text = with_section(text, name, content())
    return text


if __name__ == "__main__":
    for page in SECTIONS:
        (ROOT / page).write_text(written(page), encoding="utf-8")
