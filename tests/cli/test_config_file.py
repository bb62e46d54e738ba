"""`--config FILE` refuses what would take for ever, in one line that names the file."""

from pathlib import Path

import pytest
from yaml_bomb import BOMB

from multiresconv.cli import main

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "expected no anchors and aliases"),
        ("model: " + "[" * 100_000, "expected at most 65536 bytes"),
        ("model: " + "[" * 10_000, "expected at most 20 levels"),
        ("model: !!python/name:os.system", "expected no tags"),
        ("1: 2", "expected names of options, got 1"),
        ("model: {memory: '{a: &a [x, x], b: [*a, *a]}'}", "no text with anchors"),
    ],
    ids=range(6),
)
def test_a_hostile_file_is_refused(text: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert main(["train", "listops", "--config", str(path), "--run", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"multiresconv: error: {path}: ")
    assert reason in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["n_layers", "d_model", "depth"])
def test_a_network_that_no_machine_holds_is_refused_at_once(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"model: {{{option}: 1000000000}}\n")
    assert main(["train", "listops", "--config", str(path), "--run", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert f"{option}: expected at most" in error
    assert error.count("\n") == 1
