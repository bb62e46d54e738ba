"""Forecasting users' own recordings: origins, splits in time, training and prediction from the command line."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv import load
from multiresconv.cli import main
from multiresconv.data.recordings import TableData, spans_in_time
from multiresconv.tasks import Forecast, ForecastOptions, RecordingModelOptions

SMALL = ["--model.d_model", "8", "--model.n_layers", "1", "--trainer.epochs", "2", "--trainer.accelerator", "cpu"]


def write_series(folder: Path, lengths: tuple[int, ...] = (240,)) -> Path:
    """Write series of two channels and a table of them."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for number, length in enumerate(lengths):
        time = np.arange(length)
        values = np.stack([100 + 5 * np.sin(time / 4), 0.1 * time], axis=1) + 0.1 * random.normal(size=(length, 2))
        np.savetxt(folder / f"s{number}.csv", values, delimiter=",", header="load,level", comments="", fmt="%.4f")
    with open(folder / "table.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file"], *([f"s{number}.csv"] for number in range(len(lengths)))])
    return folder / "table.csv"


@examples(50)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=4), st.floats(0, 0.4), st.floats(0, 0.4))
def test_splits_follow_each_other_in_time(lengths: list[int], val_share: float, test_share: float) -> None:
    spans = spans_in_time(np.array(lengths), val_share=val_share, test_share=test_share)
    train, val, test = spans["train"], spans["val"], spans["test"]
    assert (train.starts == 0).all()
    assert (train.ends == val.starts).all()
    assert (val.ends == test.starts).all()
    assert (test.ends == lengths).all()
    assert (train.ends <= val.ends).all()
    assert (val.ends <= test.ends).all()


def test_an_origin_sees_the_past_only_and_its_future_lies_in_its_split(tmp_path: Path) -> None:
    table = write_series(tmp_path, (240, 90))
    options = ForecastOptions(horizon=6, context=20, hop=5)
    task = Forecast(TableData(table), options, RecordingModelOptions(d_model=8, n_layers=1))
    whole = task.recordings.split("train")
    seen = {}
    for split in ("train", "val", "test"):
        rows, spans = task.open(split), task.spans[split]
        seen[split] = len(rows)
        for index in range(len(rows)):
            row = rows[index]
            signal = whole.signal(row.series)
            np.testing.assert_array_equal(row.past, signal[row.origin + 1 - len(row.past) : row.origin + 1])
            np.testing.assert_array_equal(row.future, signal[row.origin + 1 : row.origin + 7])
            assert spans.starts[row.series] <= row.origin + 1
            assert row.origin + 7 <= spans.ends[row.series]
    assert min(seen.values()) > 0


def test_series_of_another_table_are_scaled_by_the_mean_of_those_that_were_trained_on(tmp_path: Path) -> None:
    options = ForecastOptions(horizon=4, context=16)
    table = TableData(write_series(tmp_path / "own", (240, 200)))
    task = Forecast(table, options, RecordingModelOptions(d_model=8, n_layers=1))
    rows = task.open_file(write_series(tmp_path / "other", (90,)))
    scales = task.scales[1]
    assert rows[0].series == 2
    assert not np.allclose(scales[0], scales.mean(0), rtol=1e-6)
    np.testing.assert_array_equal(task.collate([rows[0]]).scale[0].numpy(), scales.mean(0))


def test_training_compares_forecasts_with_what_came_after_each_step(tmp_path: Path) -> None:
    task = Forecast(
        TableData(write_series(tmp_path)),
        ForecastOptions(horizon=4, context=16, quantiles=()),
        RecordingModelOptions(d_model=8, n_layers=1),
    )
    rows, model = task.open("train"), task.build().train()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)  # repeats the last value
    batch = task.collate([rows[0], rows[3]])
    steps = task.origins_of(batch.lengths)
    expected = []
    for row, chosen in zip((rows[0], rows[3]), steps.tolist(), strict=True):
        signal = np.concatenate([row.past, row.future])
        errors = [np.abs(signal[s + 1 : s + 5] - signal[s]) for s in chosen]
        expected.append(np.mean(np.array(errors) / task.scales[0]))
    np.testing.assert_allclose(task.run(model, batch).losses.detach(), expected, rtol=1e-4)


@pytest.mark.slow
def test_from_files_to_a_report(tmp_path: Path, capfd: Any) -> None:
    table, run = write_series(tmp_path / "data"), tmp_path / "run"
    options = ["--data.table", str(table), "--task.horizon", "5", "--task.season", "25", "--run", str(run)]
    assert main(["train", "forecast", *options, *SMALL]) == 0
    model = load(run / "model")
    assert (model.output.kind, model.output.horizon, model.output.names) == ("forecast", 5, ("load", "level"))
    capfd.readouterr()
    assert main(["evaluate", str(run)]) == 0
    printed = capfd.readouterr().out
    assert "seasonal naive" in printed
    assert "drift" in printed
    report = json.loads((run / "evaluation-test.json").read_text())
    assert report["nominal_coverage"] == pytest.approx(0.8)
    assert main(["report", str(run)]) == 0
    assert (run / "fan-test.png").is_file()
    capfd.readouterr()
    assert main(["predict", str(run), str(table.parent / "s0.csv"), "--json"]) == 0
    (line,) = capfd.readouterr().out.splitlines()
    forecast = json.loads(line)["forecast"]
    assert list(forecast) == ["load", "level"]
    assert {quantile: len(values) for quantile, values in forecast["load"].items()} == {"0.1": 5, "0.5": 5, "0.9": 5}
    values = np.loadtxt(table.parent / "s0.csv", delimiter=",", skiprows=1, dtype=np.float32)
    direct = model(torch.from_numpy(values)[None])[0]
    assert forecast["load"]["0.5"] == pytest.approx(direct[:, 0, 1].tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task.horizon", "0"], "task.horizon: expected at least 1, got 0"),
        (["--task.horizon", "200"], "expected a part of more than 200 time steps, the horizon"),
        (["--data.window", "3"], "expected no window, split or group"),
        (["--data.target", "load"], "target: expected none for this task"),
        (["--model.bidirectional", "true"], "model.bidirectional: expected false"),
        (["--task.quantiles", "[0.9, 0.1]"], "quantiles: expected increasing numbers"),
    ],
)
def test_bad_options_are_named(options: list[str], message: str, tmp_path: Path, capfd: Any) -> None:
    table = write_series(tmp_path / "data")
    given_options = ["--data.table", str(table), "--run", str(tmp_path / "run"), *SMALL]
    assert main(["train", "forecast", *given_options, *options]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run" / "run.json").exists()
