"""The tables of results say what `evaluate` wrote, and the page of results has the commands of every folder."""

import runpy

import pytest
from paths import ROOT

COMMANDS = runpy.run_path(str(ROOT / "results" / "commands.py"))
TABLE = runpy.run_path(str(ROOT / "results" / "table.py"))


@pytest.mark.parametrize("page", TABLE["PAGES"])
def test_a_table_is_as_the_script_writes_it(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text.count("\n| [") >= len(TABLE["TITLES"])
    assert TABLE["with_table"](page, text) == text, "run: python results/table.py"


def test_every_run_with_a_score_has_a_row() -> None:
    scored = {path.parent.name for path in (ROOT / "results").glob("*/evaluation-*.json")}
    assert scored == set(TABLE["TITLES"])


def test_the_page_has_the_commands_of_every_folder() -> None:
    text = COMMANDS["PAGE"].read_text(encoding="utf-8")
    assert COMMANDS["with_commands"](text) == text, "run: python results/commands.py"
    for readme in (ROOT / "results").glob("*/README.md"):
        commands = COMMANDS["commands"](readme.read_text(encoding="utf-8"))
        assert commands, f"{readme}: no command"
        assert commands in text


def test_a_page_without_its_section_is_refused() -> None:
    with pytest.raises(ValueError, match=r"results\.md: expected a section between"):
        COMMANDS["with_commands"]("none")
