"""`predict --events`: the window around each event is what is predicted."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny_events import LEADS, RATE, beats, write_annotated

from multiresconv.cli import main
from multiresconv.data.readers.read_recording import read_recording
from multiresconv.models import Input, MultiresClassifier, Output, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    input = Input("signal", LEADS, unit="mV", rate=float(RATE), reading="select")
    output = Output("class", ("N", "V"))
    save(MultiresClassifier(2, d_model=4, n_layers=1, d_input=2, depth=3, input=input, output=output), folder)
    return folder


def test_each_event_is_predicted_as_its_window_alone(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_annotated(tmp_path, ["100"])
    record = str(tmp_path / "100")
    options = ["--events", "atr", "--before", "0.1", "--after", "0.15"]
    assert main(["predict", str(model), record, *options, "--json"]) == 0
    captured = capsys.readouterr()
    found = [json.loads(line) for line in captured.out.splitlines()]
    events = [(p, s) for p, s in zip(*map(list, beats(1250)), strict=True) if s != "+" and 36 <= p <= 1250 - 54]
    assert [(round(row["time"] * RATE), row["event"]) for row in found] == events
    assert "1 event(s) too close to an end for a whole window, left out" in captured.err
    signal = read_recording(record).values.T
    alone = [str(tmp_path / f"{place}.csv") for place, _ in events]
    for file, (place, _) in zip(alone, events, strict=True):
        pd.DataFrame(signal[place - 36 : place + 54], columns=list(LEADS)).to_csv(file, index=False)
    assert main(["predict", str(model), *alone, "--json"]) == 0
    expected = [json.loads(line)["probabilities"] for line in capsys.readouterr().out.splitlines()]
    for row, probabilities in zip(found, expected, strict=True):
        assert row["probabilities"] == pytest.approx(probabilities, abs=1e-6)
    assert main(["predict", str(model), record, *options, "--keep", "V"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(float(time), label) for time, label, *_ in lines] == [
        (pytest.approx(place / RATE), "V") for place, symbol in events if symbol == "V"
    ]


def test_a_model_knows_its_window_and_doubts_other_lengths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_annotated(tmp_path, ["100"])
    record = str(tmp_path / "100")
    input = Input("signal", LEADS, rate=float(RATE), reading="select", steps=(90, 90), window=(0.1, 0.15))
    output = Output("class", ("N", "V"))
    save(MultiresClassifier(2, d_model=4, n_layers=1, d_input=2, depth=3, input=input, output=output), tmp_path / "m")
    answers = []
    for options in ([], ["--before", "0.1", "--after", "0.15"]):
        assert main(["predict", str(tmp_path / "m"), record, "--events", "atr", *options]) == 0
        captured = capsys.readouterr()
        answers.append(captured.out)
        assert "time steps" not in captured.err
    assert answers[0] == answers[1]
    assert main(["predict", str(tmp_path / "m"), record]) == 0
    expected = (
        "a row of 1,250 time steps, the model learned from rows of 90; predict windows around events with --events"
    )
    assert expected in capsys.readouterr().err
    assert main(["predict", str(tmp_path / "m"), record, "--events", "atr", "--after", "0.5"]) == 0
    assert "time steps, the model learned from rows of 90" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (["--events", "atr"], "--events: expected --before and --after too"),
        (["--before", "1"], "--before: expected with --events"),
        (
            ["--events", "atr", "--before", "9", "--after", "9"],
            "expected events with whole windows in the recording, got none of 14",
        ),
        (["--events", "atr", "--before", "-1", "--after", "9"], "before: expected at least 0, got -1"),
        (["--events", "qrs", "--before", "1", "--after", "9"], "100.qrs"),
        (["--events", "atr", "--before", "1", "--after", "1", "--keep", "Z"], "expected events to keep, Z, got only "),
    ],
)
def test_refused(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options, wrong) -> None:
    write_annotated(tmp_path, ["100"])
    assert main(["predict", str(model), str(tmp_path / "100"), *options]) == 2
    assert wrong in capsys.readouterr().err
