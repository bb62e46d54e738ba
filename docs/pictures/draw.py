"""Draw the pictures of docs/idea.md.

    python docs/pictures/draw.py

writes NAME.png for each script NAME.py of this folder that has a function `draw`.
"""

import runpy
from pathlib import Path

from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
NAMES = ("tree", "footprints", "memories", "ecg")


def figure_of(name: str) -> Figure:
    """Return the picture that a script of this folder draws."""
    return runpy.run_path(str(HERE / f"{name}.py"))["draw"]()


def write(folder: Path) -> None:
    for name in NAMES:
        figure_of(name).savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    write(HERE)
