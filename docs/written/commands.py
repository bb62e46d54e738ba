"""Write the commands of all runs into docs/results.md, from the README.md of each folder here.

    python results/commands.py

They stand there between the lines BEGIN and END. A folder's commands are the first indented block of its README.md that
names this package or a script of this repository.
"""

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "results.md"
BEGIN, END = "<!-- written by results/commands.py -->", "<!-- end of the commands -->"
BLOCK = re.compile(r"(?:^    .+\n)+", re.MULTILINE)
NAMED = re.compile(r"^    (python |multiresconv |results/)", re.MULTILINE)


def commands(readme: str) -> str:
    """Return the block of commands of a README.md, indented; empty if it has none."""
    blocks = [block for block in BLOCK.findall(readme) if NAMED.search(block)]
    return blocks[0] if blocks else ""


def section() -> str:
    parts = []
    for path in sorted(HERE.glob("*/README.md")):
        text = path.read_text(encoding="utf-8")
        title = text.partition("\n")[0].removeprefix("# ")
        parts.append(f"[{path.parent.name}](../results/{path.parent.name}): {title}\n\n{commands(text)}")
    return "\n".join(parts)


def with_commands(text: str) -> str:
    """Return the text of the page with the commands of today."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name}: expected a section between {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{section()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_commands(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
