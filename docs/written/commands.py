"""The commands of all runs, from the README.md of each folder of results.

A folder's commands are the first indented block that names this package or a script of this repository.
"""

import re
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "results"
BLOCK = re.compile(r"(?:^    .+\n)+", re.MULTILINE)
NAMED = re.compile(r"^    (python |multiresconv |results/)", re.MULTILINE)


def commands(readme: str) -> str:
    """Return the block of commands of a README.md, indented; empty if it has none."""
    blocks = [block for block in BLOCK.findall(readme) if NAMED.search(block)]
    return blocks[0] if blocks else ""


def of_all_runs() -> str:
    parts = []
    for path in sorted(RESULTS.glob("*/README.md")):
        text = path.read_text(encoding="utf-8")
        title = text.partition("\n")[0].removeprefix("# ")
        parts.append(f"[{path.parent.name}](../results/{path.parent.name}): {title}\n\n{commands(text)}")
    return "\n".join(parts).rstrip("\n")
