"""The tables of results say what `evaluate` wrote."""

import runpy

import pytest
from paths import ROOT

TABLE = runpy.run_path(str(ROOT / "results" / "table.py"))


@pytest.mark.parametrize("page", TABLE["PAGES"])
def test_a_table_is_as_the_script_writes_it(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text.count("\n| [") >= len(TABLE["TITLES"])
    assert TABLE["with_table"](page, text) == text, "run: python results/table.py"


def test_every_run_with_a_score_has_a_row() -> None:
    scored = {path.parent.name for path in (ROOT / "results").glob("*/evaluation-*.json")}
    assert scored == set(TABLE["TITLES"])
