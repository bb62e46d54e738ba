"""Tables and commands of the pages say what `evaluate`, the benchmarks and the runs have written."""

import re
import runpy

import pytest
from paths import ROOT

WRITTEN = runpy.run_path(str(ROOT / "docs" / "written"))
RESULTS = ROOT / "results"


@pytest.mark.parametrize("page", WRITTEN["SECTIONS"])
def test_a_page_is_as_the_program_writes_it(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert WRITTEN["written"](page) == text, "run: python docs/written"
    assert text.count("\n| ") > 10


def test_every_run_with_a_score_has_a_row() -> None:
    table = WRITTEN["scores"].table("results")
    scored = {path.parent.name for path in RESULTS.glob("*/evaluation-*.json")}
    assert set(re.findall(r"\(results/([\w-]+)\)", table)) == scored


def test_the_page_has_the_commands_of_every_folder() -> None:
    text, commands = WRITTEN["commands"].of_all_runs(), WRITTEN["commands"].commands
    for readme in RESULTS.glob("*/README.md"):
        found = commands(readme.read_text(encoding="utf-8")).rstrip()
        assert found, f"{readme}: no command"
        assert found in text


@pytest.mark.parametrize("count", [0, 2])
def test_a_page_has_each_section_once(count: int) -> None:
    section = "<!-- written by python docs/written: layers -->\n<!-- end of what was written -->\n"
    with pytest.raises(ValueError, match=f"expected one section between .*layers.*, found {count}"):
        WRITTEN["with_section"](count * section, "layers", "")
