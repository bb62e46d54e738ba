"""The models that are kept in results/: small enough, listed, and each gives an answer."""

from pathlib import Path
from runpy import run_path

import pytest
from paths import ROOT

TRIED = run_path(str(ROOT / "results" / "try_models.py"))
MODELS = TRIED["models"]()
LARGEST = 8_000_000  # bytes


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parent.name)
def test_a_kept_model_answers(path: Path, tmp_path: Path) -> None:
    assert sum(file.stat().st_size for file in path.iterdir()) <= LARGEST
    model = TRIED["load"](path)
    if model.output.kind == "density":
        pytest.skip("tests/test_readme.py draws from it")
    label, probability = TRIED["printed"]("predict", path, TRIED["example_for"](model, tmp_path)).split("\t")[:2]
    assert label in model.output.names
    assert 0 < float(probability) <= 1


def test_the_list_names_every_model() -> None:
    listed = (ROOT / "results" / "models.md").read_text(encoding="utf-8")
    assert all(f"[{path.parent.relative_to(ROOT / 'results')}]" in listed for path in MODELS)
    assert len(MODELS) > 8


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a\t0.900\tb:0.100 c:0.000", "a\t0.901\tc:0.000 b:0.099", True),
        ("a\t0.900\tb:0.100", "a\t0.910\tb:0.090", False),
        ("a\t0.900\tb:0.100", "b\t0.900\ta:0.100", False),
        ("a\t0.900\tb:0.100", "a\t0.900\tc:0.100", False),
        ("a\t0.900\tb:0.100", "a\t0.900", False),
    ],
)
def test_answers_are_compared(one: str, other: str, same: bool) -> None:
    assert TRIED["alike"](one, other) == same
