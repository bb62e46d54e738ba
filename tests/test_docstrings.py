"""The examples of docstrings print what they say."""

import doctest
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from paths import ROOT

import multiresconv

PACKAGE = ROOT / "src" / "multiresconv"
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if "\n        >>> " in path.read_text(encoding="utf-8")]


def what_a_reader_has() -> dict[str, Any]:
    """Return the names that examples use for things of the reader's own."""
    model = multiresconv.MultiresClassifier(10, d_model=32, n_layers=2, d_input=3, max_length=1024)
    draw = np.random.default_rng(0).normal
    return {
        **{name: getattr(multiresconv, name) for name in multiresconv.__all__},
        "torch": torch,
        "model": model,
        "x": torch.randn(8, 1024, 3),
        "X": draw(size=(12, 2, 40)),
        "y": ["calm", "busy"] * 6,
        "X_new": draw(size=(4, 2, 40)),
        "series": [draw(size=(3, 150)), draw(size=(3, 200))],
        "other": [draw(size=(3, 100))],
    }


def test_the_examples_are_found() -> None:
    assert len(FILES) > 5


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_examples_print_what_they_say(path: Path) -> None:
    module = import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    found = doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=what_a_reader_has())
    for test in found:
        runner.run(test)
    assert runner.summarize(verbose=False).attempted > 0
    assert runner.summarize(verbose=False).failed == 0
