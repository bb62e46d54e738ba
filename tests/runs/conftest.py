"""`predicted`: runs the command predict on a file, and what comes of it."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from small_models import save_models

from multiresconv.cli import main


class Outcome(NamedTuple):
    code: int
    rows: list[dict[str, float]]  # probabilities
    said: list[str]  # lines on standard error


Predict = Callable[..., Outcome]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def predicted(models: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Predict:
    def run(model: str, *arguments: object, stdin: str | None = None) -> Outcome:
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(["predict", str(models[model]), *map(str, arguments), "--json"])
        captured = capsys.readouterr()
        rows = [json.loads(line)["probabilities"] for line in captured.out.splitlines()]
        return Outcome(code, rows, captured.err.splitlines())

    return run
