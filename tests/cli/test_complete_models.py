"""A model folder is all that predict needs: alone, from a run, and in format 1 with its run."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from paths import ROOT, TESTS
from seeded import python_module

from multiresconv import load
from multiresconv.cli import main

pytestmark = pytest.mark.slow

OLD = TESTS / "fixtures" / "format-1"
# what the version that wrote the fixture said of examples/ecg.csv
EXPECTED = {
    "HYP": 0.6203436851501465,
    "NORM": 0.609674870967865,
    "CD": 0.5530454516410828,
    "STTC": 0.5375998616218567,
    "MI": 0.427004873752594,
}


def probabilities(text: str) -> dict[str, float]:
    return json.loads(text.splitlines()[-1])["probabilities"]


def test_format_1_predicts_as_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    for path in (OLD, OLD / "model"):
        assert main(["predict", str(path), str(ROOT / "examples" / "ecg.csv"), "--json"]) == 0
        assert probabilities(capsys.readouterr().out) == pytest.approx(EXPECTED, rel=1e-5)


def test_format_1_without_its_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(OLD / "model", tmp_path / "model")
    assert main(["predict", str(tmp_path / "model"), str(ROOT / "examples" / "ecg.csv")]) == 2
    assert "a model of format 1 says neither its classes nor its units" in capsys.readouterr().err


def test_upgraded_it_predicts_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(OLD, tmp_path / "run")
    assert main(["upgrade", str(tmp_path / "run")]) == 0
    shutil.copytree(tmp_path / "run" / "model", tmp_path / "alone")
    shutil.rmtree(tmp_path / "run")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "alone"), str(ROOT / "examples" / "ecg.csv"), "--json"]) == 0
    assert probabilities(capsys.readouterr().out) == pytest.approx(EXPECTED, rel=1e-5)
    model = load(tmp_path / "alone")
    assert (model.output.kind, model.output.names) == ("labels", ("CD", "HYP", "MI", "NORM", "STTC"))
    assert (model.input.kind, model.input.unit, model.input.rate) == ("signal", "mV", 100)


@pytest.mark.parametrize(
    ("name", "example"),
    [("smnist", "digit.png"), ("psmnist", "digit.png"), ("ptbxl", "ecg.csv"), ("ptbxl", "ecg.hea")],
)
def test_a_copied_folder_predicts_as_the_run(
    name: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "results" / name / "model", tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    file = str(ROOT / "examples" / example)
    shown = []
    for model in (str(ROOT / "results" / name), "copy"):
        assert main(["predict", model, file, "--json"]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


def test_a_copied_folder_streams(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "results" / "ptbxl" / "model", tmp_path / "copy")
    lines = (ROOT / "examples" / "ecg.csv").read_text().splitlines(keepends=True)
    command = python_module("multiresconv.cli", "predict", "copy", "--stream", "--json")
    done = subprocess.run(
        command, input="".join(lines[:101]), capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr
    signal = torch.tensor([[float(value) for value in line.split(",")] for line in lines[1:101]])
    model = load(tmp_path / "copy")
    expected = model.output.probabilities(model(signal[None]))[0]
    seen = probabilities(done.stdout)
    torch.testing.assert_close(
        torch.tensor([seen[name] for name in model.output.names]), expected, rtol=1e-4, atol=1e-5
    )
