"""The pages of the site: their pictures are what the scripts draw, and the lists name every table."""

import re
import runpy
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from paths import ROOT

PICTURES = ROOT / "docs" / "pictures"


@pytest.mark.slow
def test_the_pictures_are_what_the_scripts_draw(tmp_path: Path) -> None:
    draw = runpy.run_path(str(PICTURES / "draw.py"))
    draw["write"](tmp_path)
    assert {path.stem for path in PICTURES.glob("*.py")} == {"draw", *draw["NAMES"]}
    for name in draw["NAMES"]:
        drawn, kept = (matplotlib.image.imread(folder / f"{name}.png") for folder in (tmp_path, PICTURES))
        assert drawn.shape == kept.shape, name
        assert np.abs(drawn - kept).mean() < 0.005, f"{name}: run python docs/pictures/draw.py"


def test_every_speed_table_has_a_line_in_their_list() -> None:
    folder = ROOT / "benchmarks" / "results"
    listed = re.findall(r"^\| \[(\w+\.md)\]", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == {path.name for path in folder.glob("*.md")} - {"README.md"}


def test_the_citation_names_the_version() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version is not None
    assert f"\nversion: {version[1]}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
