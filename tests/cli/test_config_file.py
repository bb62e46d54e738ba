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


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model: {nlayers: 4}", "model.nlayers: this command has no such option; did you mean model.n_layers?"),
        ("sed: 1", "sed: this command has no such option; did you mean seed?"),
        ("task: {quantiles: [0.5]}", "task: this command has no such option; --help lists them"),  # of `forecast`
        ("model: {n_layers: null}", "model.n_layers: expected int, got null"),
        ("trainer: {devices: null}", "trainer.devices: expected Union[int, Literal['auto']], got null"),
    ],
    ids=range(5),
)
def test_an_option_that_does_not_fit_is_named(
    text: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert main(["train", "listops", "--config", str(path), "--run", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == f"multiresconv: error: {path}: {reason}\n"


def test_null_is_a_value_of_the_options_that_take_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model: {kernel_size: null, n_layers: 0}")
    assert main(["train", "listops", "--config", str(path), "--run", str(tmp_path / "run")]) == 2
    assert "n_layers: expected at least 1" in capsys.readouterr().err


def test_the_home_of_the_user_is_found_in_files_and_behind_an_equals_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home" / "mine.yaml").write_text("run: ~/run\ndata: {table: ~/labels.csv}\n")
    assert main(["train", "classify", "--config=~/mine.yaml", "--data.target", "state"]) == 2
    assert str(tmp_path / "home" / "labels.csv") in capsys.readouterr().err
    assert main(["evaluate", "~/run"]) == 2
    assert str(tmp_path / "home" / "run") in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_a_seed_that_no_generator_takes_is_refused_before_data_are_made(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "listops", "--recipe", "quick", f"--seed={seed}"]) == 2
    assert capsys.readouterr().err == f"multiresconv: error: seed: expected 0 to 2^63 - 1, got {seed}\n"
    assert not list(tmp_path.iterdir())
