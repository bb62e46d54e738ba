"""Answers for archives: those of every recording alone, in the order of the table, whatever else the table holds."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from tiny_archives import CHANNELS, RATE, classifier, predicted, probabilities, run_here, write_archive
from tiny_events import LEADS, write_annotated
from tiny_events import RATE as EVENT_RATE
from tiny_recordings import write_csv, write_table

from multiresconv import MultiresForecaster, MultiresRegressor, load
from multiresconv.cli import main
from multiresconv.data.readers.read_recording import read_recording
from multiresconv.models import Input, MultiresClassifier, Output, save

NAMES = ("calm", "busy", "wild")
COLUMNS = [f"probability_{name}" for name in NAMES]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classifier(tmp_path_factory.mktemp("model") / "model")


def signal_of(path: Path, start: float | None = None, stop: float | None = None) -> np.ndarray:
    return np.ascontiguousarray(read_recording(path, channels=CHANNELS, rate=RATE, start=start, stop=stop).values.T)


@examples(15)
@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=9),
    rows_of_part=st.integers(1, 10),
    batch_size=st.integers(1, 5),
    suffix=st.sampled_from(["csv", "parquet"]),
)
def test_answers_are_those_of_each_recording_alone(
    model: Path, tmp_path_factory: pytest.TempPathFactory, lengths, rows_of_part, batch_size, suffix
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    table = write_archive(folder, lengths)
    if suffix == "parquet":
        table = write_table(folder / "table.parquet", **pd.read_csv(table).to_dict("list"))
    answers, totals = predicted(model, table, folder / "out", rows_of_part=rows_of_part, batch_size=batch_size)
    assert totals == (len(lengths), 0)
    assert answers["row"].tolist() == list(range(len(lengths)))
    assert answers["id"].tolist() == [f"patient {number}" for number in range(len(lengths))]
    assert answers["error"].isna().all()
    loaded = load(model)
    expected = [probabilities(loaded, signal_of(folder / file)) for file in answers["file"]]
    np.testing.assert_allclose(answers[COLUMNS].to_numpy(), expected, atol=1e-6)
    assert answers["label"].tolist() == [NAMES[int(np.argmax(row))] for row in expected]
    np.testing.assert_array_equal(answers["probability"], answers[COLUMNS].max(axis=1))
    assert len(list((folder / "out").glob("part-*.parquet"))) == -(-len(lengths) // rows_of_part)
    assert json.loads((folder / "out" / "_SUCCESS").read_text()) == {"rows": len(lengths), "failed": 0}


def test_the_answer_is_that_of_predict(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers, _ = predicted(model, write_archive(tmp_path, [30, 50, 40]), tmp_path / "out")
    assert main(["predict", str(model), *(str(tmp_path / file) for file in answers["file"]), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["label"] for line in lines] == answers["label"].tolist()
    for line, (_, row) in zip(lines, answers.iterrows(), strict=True):
        assert [line["probabilities"][name] for name in NAMES] == pytest.approx(row[COLUMNS].tolist(), abs=1e-6)


def test_sections_of_one_file_are_predicted_as_sections(model: Path, tmp_path: Path) -> None:
    write_archive(tmp_path, [100, 60])
    starts, stops = [1.0, None, 0.5, 4.9, 2.0, None], [2.0, 3.0, None, 5.2, 2.5, None]
    files = [f"r00{number}.csv" for number in (0, 1, 0, 0, 1, 0)]
    table = write_table(tmp_path / "t.parquet", file=files, start=starts, stop=stops)
    answers, totals = predicted(model, table, tmp_path / "out", rows_of_part=6)
    assert totals == (6, 1)
    assert answers["error"][3] == (
        f"{tmp_path / 'r000.csv'}: stop: expected at most the end, the recording has 5 seconds, got 5.2"
    )
    loaded = load(model)
    for row in (0, 1, 2, 4, 5):
        cut = [None if time is None or np.isnan(time) else time for time in (starts[row], stops[row])]
        expected = probabilities(loaded, signal_of(tmp_path / files[row], *cut))
        assert answers.loc[row, COLUMNS].tolist() == pytest.approx(expected, abs=1e-6)
        assert [answers["start"][row], answers["stop"][row]] == pytest.approx(
            [np.nan if time is None else time for time in cut], nan_ok=True
        )


def test_what_fails_is_an_error_of_its_row_alone(model: Path, tmp_path: Path) -> None:
    names = ["good.csv", "text.csv", "other.csv", "nan.csv", "again.csv"]
    write_archive(tmp_path, [40] * 5, names)
    (tmp_path / "text.csv").write_text("pressure,flow\n1,2\n1,two\n")
    write_csv(tmp_path / "other.csv", np.zeros((40, 2), np.float32), ("pressure", "speed"), RATE)
    write_csv(tmp_path / "nan.csv", np.full((40, 2), np.nan, np.float32), CHANNELS, RATE)
    table = write_table(tmp_path / "t.csv", file=[*names[:4], "missing.csv", "notes.pdf", "again.csv"])
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    answers, totals = predicted(model, table, tmp_path / "out")
    assert totals == (7, 5)
    assert [isinstance(error, str) for error in answers["error"]] == [False, True, True, True, True, True, False]
    reasons = ["line 3", "expected channel 'flow'", "a value is missing", "No such file", "a file of another suffix"]
    for row, reason in enumerate(reasons, start=1):
        assert reason in answers["error"][row]
        assert str(tmp_path / answers["file"][row]) in answers["error"][row]
    assert answers["label"].isna().tolist() == [False, True, True, True, True, True, False]
    only, _ = predicted(model, write_table(tmp_path / "good.csv.csv", file=["good.csv"]), tmp_path / "only")
    assert answers[COLUMNS].iloc[0].tolist() == pytest.approx(only[COLUMNS].iloc[0].tolist(), abs=1e-6)
    assert all("\n" not in error for error in answers["error"].dropna())


def test_rates_are_brought_to_that_of_the_model_and_told(model: Path, tmp_path: Path) -> None:
    signal = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32)
    write_csv(tmp_path / "fast.csv", signal, CHANNELS, 2 * RATE)
    answers, _ = predicted(model, write_table(tmp_path / "t.csv", file=["fast.csv"]), tmp_path / "out")
    assert answers["remark"][0] == "resampled from 40 to 20 samples a second"
    expected = probabilities(load(model), signal_of(tmp_path / "fast.csv"))
    assert answers.loc[0, COLUMNS].tolist() == pytest.approx(expected, abs=1e-6)


def test_windows_are_cut_as_in_training(model: Path, tmp_path: Path) -> None:
    table = write_archive(tmp_path, [100, 15, 49])
    answers, totals = predicted(model, table, tmp_path / "out", window=1.0, hop=0.5)
    assert totals == (3, 0)
    starts = {0: np.arange(0, 4.01, 0.5), 1: np.array([0.0]), 2: np.array([0.0, 0.5, 1.0])}
    assert answers["row"].tolist() == [row for row, of_row in starts.items() for _ in of_row]
    np.testing.assert_allclose(answers["start"], np.concatenate(list(starts.values())))
    np.testing.assert_allclose(answers["stop"] - answers["start"], [1.0] * 9 + [0.75] + [1.0] * 3)
    loaded = load(model)
    for _, answer in answers.iterrows():
        expected = probabilities(loaded, signal_of(tmp_path / answer["file"], answer["start"], answer["stop"]))
        assert answer[COLUMNS].tolist() == pytest.approx(expected, abs=1e-6)
    assert answers["remark"].dropna().tolist() == ["shorter than a window of 1, and whole"]


def test_each_event_is_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_annotated(tmp_path, ["100", "101"])
    torch.manual_seed(0)
    input = Input("signal", LEADS, unit="mV", rate=float(EVENT_RATE), reading="select", window=(0.1, 0.15))
    output = Output("class", ("N", "V"))
    save(MultiresClassifier(2, d_model=4, n_layers=1, d_input=2, depth=3, input=input, output=output), tmp_path / "m")
    out = str(tmp_path / "out")
    assert main(["predict", str(tmp_path / "m"), str(tmp_path / "100"), "--events", "atr", "--json"]) == 0
    expected = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main(["predict", str(tmp_path / "m"), "--table", str(table), "--events", "atr", "--out", out]) == 0
    answers = pd.read_parquet(out)
    first = answers[answers["row"] == 0]
    assert [*zip(first["time"], first["event"], strict=True)] == [(row["time"], row["event"]) for row in expected]
    np.testing.assert_allclose(
        first[["probability_N", "probability_V"]],
        [[row["probabilities"]["N"], row["probabilities"]["V"]] for row in expected],
        atol=1e-6,
    )
    assert set(answers["row"]) == {0, 1}
    assert answers["remark"][0] == "1 event(s) too close to an end for a whole window, left out"


def test_values_and_forecasts_have_columns(tmp_path: Path) -> None:
    table = write_archive(tmp_path, [30, 45])
    input = Input("signal", CHANNELS, rate=RATE, reading="select")
    sizes = {"d_model": 4, "n_layers": 1, "d_input": 2, "depth": 3, "input": input}
    regressor = MultiresRegressor(2, **sizes, output=Output("value", ("speed", "file")))
    save(regressor, tmp_path / "values")
    answers, _ = predicted(tmp_path / "values", table, tmp_path / "out-values")
    x = torch.from_numpy(signal_of(tmp_path / "r001.csv")).unsqueeze(0)
    expected = regressor.eval()(x)[0].tolist()
    assert answers.loc[1, ["value_speed", "value_file"]].tolist() == pytest.approx(expected, abs=1e-6)
    output = Output("forecast", CHANNELS, horizon=3, quantiles=(0.1, 0.9))
    forecaster = MultiresForecaster(3, **sizes, quantiles=(0.1, 0.9), output=output)
    save(forecaster, tmp_path / "forecasts")
    answers, _ = predicted(tmp_path / "forecasts", table, tmp_path / "out-forecasts")
    expected = forecaster.eval()(x)[0]  # (horizon, channels, quantiles)
    np.testing.assert_allclose(answers["forecast_flow_0.9"][1], expected[:, 1, 1].tolist(), atol=1e-6)
    np.testing.assert_allclose(answers["forecast_pressure_0.1"][1], expected[:, 0, 0].tolist(), atol=1e-6)


def test_a_model_of_pictures_reads_a_file_a_row(tmp_path: Path) -> None:
    torch.manual_seed(0)
    output = Output("class", ("0", "1"))
    input = Input("image", ("grey",), side=4)
    model = MultiresClassifier(2, d_model=4, n_layers=1, d_input=1, depth=3, input=input, output=output)
    save(model, tmp_path / "m")
    pictures = np.random.default_rng(0).integers(0, 256, size=(3, 4, 4)).astype(np.uint8)
    for number, picture in enumerate(pictures[:2]):
        np.save(tmp_path / f"{number}.npy", picture)
    np.save(tmp_path / "several.npy", pictures)
    table = write_table(tmp_path / "t.csv", file=["0.npy", "1.npy", "several.npy", "0.npy"], start=["", "", "", 1])
    answers, totals = predicted(tmp_path / "m", table, tmp_path / "out")
    assert totals == (4, 2)
    assert "expected one sequence in the file, got several" in answers["error"][2]
    assert "start, stop: expected none with a model of image" in answers["error"][3]
    x = torch.from_numpy(pictures[1].reshape(1, 16, 1).astype(np.float32))
    expected = model.eval()(x).softmax(-1)[0].tolist()
    assert answers.loc[1, ["probability_0", "probability_1"]].tolist() == pytest.approx(expected, abs=1e-6)


def test_it_goes_on_with_the_parts_that_are_missing(model: Path, tmp_path: Path) -> None:
    table, out, done = write_archive(tmp_path, [30] * 10), tmp_path / "out", list[int]()

    def interrupted(work, tasks):
        for task in tasks:
            if len(done) == 2:
                raise KeyboardInterrupt
            done.append(task.part)
            yield from run_here(work, [task])

    with pytest.raises(KeyboardInterrupt):
        predicted(model, table, out, run=interrupted, rows_of_part=3)
    assert not (out / "_SUCCESS").exists()
    assert len(pd.read_parquet(out)) == 6
    (out / ".part-00000007.part-1.parquet").write_bytes(b"left by a killed process")
    second = list[int]()

    def counted(work, tasks):
        second.extend(task.part for task in tasks)
        yield from run_here(work, tasks)

    answers, totals = predicted(model, table, out, run=counted, rows_of_part=3)
    assert sorted(done + second) == [0, 1, 2, 3]
    assert totals == (10, 0)
    whole, _ = predicted(model, table, tmp_path / "whole", rows_of_part=3)
    pd.testing.assert_frame_equal(answers, whole)
    assert not list(out.glob(".part-*"))
    again, _ = predicted(model, table, out, run=lambda *_: pytest.fail("all is done"), rows_of_part=3)
    pd.testing.assert_frame_equal(again, answers)


def test_another_model_table_or_option_is_refused(model: Path, tmp_path: Path) -> None:
    table, out = write_archive(tmp_path, [30] * 4), tmp_path / "out"
    predicted(model, table, out)
    other = classifier(tmp_path / "other", dropout=0.1)
    with pytest.raises(ValueError, match=r"out: was begun with another model; go on as it was begun, or name another"):
        predicted(other, table, out)
    with pytest.raises(ValueError, match=r"out: was begun with rows_of_part 4 instead of 2; go on"):
        predicted(model, table, out, rows_of_part=2)
    table.write_text(table.read_text() + "r000.csv,patient 4\n")
    with pytest.raises(ValueError, match=r"out: was begun with another table"):
        predicted(model, table, out)
    with pytest.raises(FileExistsError, match=r"holds other files, such as "):
        predicted(model, table, tmp_path)
    with pytest.raises(FileExistsError, match=r"table.csv is a file; name a folder with --out"):
        predicted(model, table, table)
    (out / "part-00000000.parquet").write_bytes(b"PAR1")
    table.write_text(table.read_text().removesuffix("r000.csv,patient 4\n"))
    with pytest.raises(ValueError, match=r"part-00000000.parquet: damaged; delete it, and it is predicted again"):
        predicted(model, table, out)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("path\na.csv\n", "expected a column 'file'"),
        ("file\na.csv\n \n", "line 3, column file: expected the path of a recording, got none"),
        ("file,start\na.csv,1\nb.csv,soon\n", "line 3, column start: expected a number, got 'soon'"),
        ("file,start\na.csv,1\nb.csv\n", "line 3: expected 2 cells as in the header, got 1"),
        ("file\n", "expected rows below the header"),
    ],
)
def test_a_malformed_table_is_refused_before_anything_is_read(
    model: Path, tmp_path: Path, text: str, wrong: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=wrong):
        predicted(model, tmp_path / "t.csv", tmp_path / "out", rows_of_part=1, run=lambda *_: pytest.fail("too late"))


def test_what_no_recording_is_to_blame_for_stops_everything(model: Path, tmp_path: Path) -> None:
    table = write_archive(tmp_path, [30] * 4)
    with pytest.raises(ValueError, match="torch finds no GPU"):
        predicted(model, table, tmp_path / "out", device="cuda")
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_all_parts_have_the_same_columns(model: Path, tmp_path: Path) -> None:
    write_archive(tmp_path, [30] * 2)
    table = write_table(tmp_path / "t.csv", file=["missing.csv", "r000.csv"])
    predicted(model, table, tmp_path / "out", rows_of_part=1)
    schemas = [pyarrow.parquet.read_schema(path) for path in sorted((tmp_path / "out").glob("part-*"))]
    assert schemas[0] == schemas[1]
    assert "id" not in schemas[0].names


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (["--stream"], "expected files, or --stream, or --table, and one of them alone"),
        (["--json"], "--json: expected no --table"),
        (["--out", "p.csv"], "--out: expected a folder for Parquet files, such as predictions.parquet, got p.csv"),
        (["--workers", "0"], "--workers: expected at least 1, got 0"),
        (["--rows_of_part", "0"], "--rows_of_part: expected at least 1, got 0"),
        (["--hop", "1"], "--hop: expected --window too"),
        (["--window", "0"], "--window: expected more than 0, got 0"),
        (["--address", "auto"], "--address: expected with --engine ray"),
        (["--engine", "ray", "--device", "cuda"], "--device: expected cpu with --engine ray"),
        (["--missing", "mask"], "the model was trained without missing values"),
        (
            ["--events", "atr", "--before", "1", "--after", "1", "--window", "1"],
            "--window: expected none with --events",
        ),
    ],
)
def test_options_that_contradict_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], wrong: str
) -> None:
    table = write_table(tmp_path / "t.csv", file=["a.csv"])
    out = [] if "--out" in options else ["--out", str(tmp_path / "out")]
    assert main(["predict", str(model), "--table", str(table), *out, *options]) == 2
    assert wrong in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_options_of_tables_need_a_table(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(model), "x.csv", "--out", "p.parquet"]) == 2
    assert "--out: expected with --table" in capsys.readouterr().err
    assert main(["predict", str(model), "x.csv", "--table", "t.csv", "--out", "p.parquet"]) == 2
    assert "expected files, or --stream, or --table, and one of them alone" in capsys.readouterr().err
    assert main(["predict", str(model), "--table", "t.csv"]) == 2
    assert (
        "--out: expected a folder for Parquet files, such as predictions.parquet, got none" in capsys.readouterr().err
    )
