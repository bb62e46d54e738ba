"""Each example runs in its short form, from its first line to its picture."""

import sys
from pathlib import Path
from runpy import run_path

import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import soundfile
from paths import ROOT
from tiny_ptbxl import make_ptbxl

EXAMPLES = ROOT / "examples"
# The picture of each example
PICTURES = {
    "classify_ts": "accuracy.png",
    "finetune_ecg": "roc.png",
    "forecast_temperature": "forecasts.png",
    "label_ecg": "superclasses.png",
    "long_sequence": "long.png",
    "split_sequence": "split.png",
    "spoken_digits": "explanation.png",
    "stream_activities": "stream.png",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ptbxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of PTB-XL with 40 made-up records, one for each patient, every label in every fold."""
    folder = make_ptbxl(tmp_path_factory.mktemp("ptbxl"), 40)
    table = pd.read_csv(folder / "ptbxl_database.csv")
    table["patient_id"] = table.ecg_id
    table["strat_fold"] = (table.ecg_id - 1) // 4 % 10 + 1  # the labels take turns
    table.to_csv(folder / "ptbxl_database.csv", index=False)
    return folder


@pytest.fixture
def espeak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with the name of the synthesiser: it says zero and one as a low and a high tone."""
    time = np.arange(2000) / 8000
    for word, frequency in {"zero": 200, "one": 1200}.items():
        soundfile.write(tmp_path / f"{word}.wav", 0.5 * np.sin(2 * np.pi * frequency * time), 8000)
    program = tmp_path / "espeak-ng"
    program.write_text(f'#!/bin/sh\nfor word; do file=$before before=$word; done\ncp "{tmp_path}/$word.wav" "$file"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def run(name: str, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    monkeypatch.chdir(ROOT)  # where the README says to run them
    try:
        run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    finally:
        plt.close("all")


@pytest.mark.parametrize("name", PICTURES)
def test_an_example_ends_in_a_picture(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "spoken_digits":
        request.getfixturevalue("espeak")
    arguments = [request.getfixturevalue("ptbxl")] if name.endswith("_ecg") else []
    run(name, *arguments, "--short", "--folder", tmp_path / "out", monkeypatch=monkeypatch)
    picture = matplotlib.image.imread(tmp_path / "out" / PICTURES[name])
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 10  # colours


def test_spoken_digits_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"espeak-ng: not found; install it"):
        run("spoken_digits", "--folder", tmp_path / "out", monkeypatch=monkeypatch)
    assert not (tmp_path / "out").exists()


def test_every_example_is_run_here_or_by_another_test_and_is_in_the_list() -> None:
    scripts = {path.stem for path in EXAMPLES.glob("*.py")}
    elsewhere = {"make_recordings", "my_tasks"}  # by test_readme.py and tests/cli/
    assert scripts == set(PICTURES) | elsewhere
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(scripts) if f"{name}.py" not in readme] == []
