"""Save figures as image files."""

from pathlib import Path

from matplotlib.figure import Figure

from multiresconv.files import write_atomically


def save_figure(figure: Figure, path: Path) -> None:
    write_atomically(path, lambda part: figure.savefig(part, dpi=130))
