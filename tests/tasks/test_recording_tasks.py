"""Training on users' own recordings: from files to a model folder that predicts by itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_table import CHANNELS, RATE, write_recordings

from multiresconv import load
from multiresconv.cli import main
from multiresconv.data.recordings import TableData
from multiresconv.tasks import Classify, ClassifyOptions, Label, LabelOptions, RecordingBatch
from multiresconv.tasks.recording_options import RecordingModelOptions

SMALL = [
    "--model.method",
    "network",
    "--model.d_model",
    "8",
    "--model.n_layers",
    "2",
    "--trainer.epochs",
    "2",
    "--trainer.accelerator",
    "cpu",
]


def train(task: str, table: Path, run: Path, target: str | None, *options: str) -> int:
    wanted = [] if target is None else ["--data.target", target]
    return main(["train", task, "--data.table", str(table), "--run", str(run), *wanted, *SMALL, *options])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("recordings"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "target", "kind", "names"),
    [
        ("classify", "kind", "class", ("fast", "slow")),
        ("label", "tags", "labels", ("long", "quick")),
        ("regress", "speed,back", "value", ("speed", "back")),
    ],
)
def test_from_files_to_a_report(
    task: str, target: str, kind: str, names: tuple[str, ...], table: Path, tmp_path: Path, capfd: Any
) -> None:
    run = tmp_path / "run"
    assert train(task, table, run, target, "--data.group", "patient") == 0
    decided = json.loads((run / "run.json").read_text())["decided"]
    assert decided["channels"] == list(CHANNELS)
    assert decided["rate"] == RATE
    assert decided["targets"] == list(names)
    splits = decided["splits"]
    assert sum(map(len, splits.values())) == 24
    of = {name: split for split, recordings in splits.items() for name in recordings}
    assert all(of[f"r{n:03}.csv"] == of[f"r{n + 1:03}.csv"] for n in range(0, 24, 2))  # both recordings of a patient
    model = load(run / "model")
    assert (model.output.kind, model.output.names) == (kind, names)
    assert (model.input.names, model.input.rate, model.input.reading) == (CHANNELS, RATE, "select")
    assert main(["evaluate", str(run)]) == 0
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Scores: test" in page
    assert page.count("data:image/png;base64,") >= 2
    assert "pressure, flow" in page
    assert "http" not in page.replace("http-equiv", "")  # nothing is fetched


@pytest.mark.slow
def test_a_copied_model_predicts_as_the_run(table: Path, tmp_path: Path, monkeypatch: Any, capfd: Any) -> None:
    run, empty = tmp_path / "run", tmp_path / "empty"
    assert train("classify", table, run, "kind") == 0
    empty.mkdir()
    shutil.copytree(run / "model", empty / "copy")
    shutil.copy(table.parent / "r001.csv", empty / "new.csv")
    capfd.readouterr()
    assert main(["predict", str(run), str(table.parent / "r001.csv"), "--json"]) == 0
    expected = json.loads(capfd.readouterr().out)
    monkeypatch.chdir(empty)
    assert main(["predict", "copy", "new.csv", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["probabilities"] == expected["probabilities"]
    task = Classify(TableData(table, target="kind"), ClassifyOptions(), RecordingModelOptions(d_model=8, n_layers=2))
    for split in ("train", "val", "test"):
        rows = task.open(split)
        if "r001.csv" in rows.names:
            signal, _ = rows[rows.names.index("r001.csv")]
            logits = load(run / "model")(torch.from_numpy(signal)[None])
            given = dict(zip(task.classes, logits.softmax(1)[0].tolist(), strict=True))
            assert given == pytest.approx(expected["probabilities"], abs=1e-6)


@pytest.mark.slow
def test_missing_values_are_masked(tmp_path: Path, capfd: Any) -> None:
    table = write_recordings(tmp_path / "data", missing=True)
    assert train("classify", table, tmp_path / "run", "kind") == 0
    model = load(tmp_path / "run" / "model")
    assert model.input.missing == "mask"
    assert model.net.standardise is not None
    assert model.net.standardise.mask_missing
    capfd.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(table.parent / "r001.csv")]) == 0
    assert capfd.readouterr().out.split()[0] in ("fast", "slow")


@pytest.mark.slow
def test_a_resumed_run_and_another_table(table: Path, tmp_path: Path, capfd: Any) -> None:
    run = tmp_path / "run"
    assert train("classify", table, run, "kind", "--max_time", "00:00:00") == 0
    assert main(["train", "classify", "--resume", str(run)]) == 0
    assert (run / "model").is_dir()
    other = write_recordings(tmp_path / "other", n=6, seed=3)
    capfd.readouterr()
    assert main(["evaluate", str(run), "--file", str(other)]) == 0
    assert json.loads((run / "evaluation-file-labels.json").read_text())["n"] == 6


def test_defaults_follow_from_the_data(table: Path) -> None:
    task = Classify(TableData(table, target="kind"), ClassifyOptions(), RecordingModelOptions())
    decided, model = task.decided(), task.build()
    rows = len(task.open("train"))
    assert decided["batch_size"] <= rows
    assert 10 <= decided["epochs"] <= 200
    longest = max(task.open(split).lengths.max() for split in ("train", "val"))
    assert model.net.blocks[0].conv.receptive_field >= longest
    assert model.net.config["d_model"] == 64
    signals = np.concatenate([task.open("train")[row][0] for row in range(rows)])
    assert model.net.standardise is not None
    torch.testing.assert_close(model.net.standardise.mean, torch.from_numpy(signals.mean(0)), rtol=1e-4, atol=1e-4)


def test_rare_classes_weigh_as_much_as_others(table: Path) -> None:
    task = Classify(TableData(table, target="kind"), ClassifyOptions("balanced"), RecordingModelOptions())
    labels = torch.from_numpy(task.open("train").targets.values)
    weights = task.weights
    assert weights is not None
    of_class = [float(weights[labels[labels == c]].sum()) for c in range(2)]
    assert of_class[0] == pytest.approx(of_class[1])
    assert float(weights[labels].mean()) == pytest.approx(1.0)


def test_rows_with_a_rare_label_weigh_as_much_as_those_without(table: Path) -> None:
    task = Label(TableData(table, target="tags"), LabelOptions("balanced"), RecordingModelOptions())
    labels = torch.from_numpy(task.open("train").targets.values)
    weights = task.weights
    assert weights is not None
    of_rows = weights[0].where(labels == 0, weights[1])
    torch.testing.assert_close((of_rows * labels).sum(0), (of_rows * (1 - labels)).sum(0))
    torch.testing.assert_close(of_rows.mean(0), torch.ones(2))
    rows = RecordingBatch(torch.zeros(len(labels), 3, 2), torch.full((len(labels),), 3), labels)
    plain = Label(TableData(table, target="tags"), LabelOptions(), RecordingModelOptions())
    logits = torch.randn(1, 2, generator=torch.Generator().manual_seed(0)).expand(len(labels), 2)
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")

    class Constant(torch.nn.Module):
        def forward(self, signals: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
            return logits

    torch.testing.assert_close(task.run(Constant(), rows).losses, (losses * of_rows).mean(1))
    torch.testing.assert_close(plain.run(Constant(), rows).losses, losses.mean(1))


@pytest.mark.slow
def test_values_that_only_a_test_row_misses(tmp_path: Path, capfd: Any) -> None:
    table = write_recordings(tmp_path)
    frame = pd.read_csv(table)
    frame["split"] = ["train"] * 16 + ["val"] * 4 + ["test"] * 4
    frame.to_csv(table, index=False)
    signal = pd.read_csv(tmp_path / "r023.csv")
    signal[list(CHANNELS)] = np.nan
    signal.to_csv(tmp_path / "r023.csv", index=False)
    assert train("classify", table, tmp_path / "run", "kind") == 0
    assert "training data: values are missing in rows of val or test, but in no training row" in capfd.readouterr().err
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    report = json.loads((tmp_path / "run" / "evaluation-test.json").read_text())
    assert np.isfinite(report["loss"])


def test_training_rows_of_one_class_are_refused(table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame["split"] = ["train" if kind == "slow" else "test" for kind in frame.kind]
    frame.loc[frame.index[frame.kind == "slow"][:2], "split"] = "val"
    alone = table.with_name("one-class.csv")
    frame.to_csv(alone, index=False)
    task = Classify(TableData(alone, target="kind", split="split"), ClassifyOptions(), RecordingModelOptions())
    with pytest.raises(ValueError, match="at least two classes in the training rows, got only slow"):
        task.prepare()


def test_another_table_may_lack_classes_but_no_values(table: Path, tmp_path: Path) -> None:
    task = Classify(TableData(table, target="kind"), ClassifyOptions(), RecordingModelOptions())
    holes = write_recordings(tmp_path, missing=True)
    with pytest.raises(ValueError, match=r"labels.csv: r000.csv: expected no missing value, since the training data"):
        task.open_file(holes)
    frame = pd.read_csv(table)
    alone = table.with_name("alone.csv")
    frame[frame.kind == "slow"].to_csv(alone, index=False)
    rows = task.open_file(alone)  # a class alone can be scored
    assert set(rows.targets.values.tolist()) == {task.classes.index("slow")}
    masked = Classify(TableData(table, target="kind"), ClassifyOptions(), RecordingModelOptions(mask_missing=True))
    assert len(masked.open_file(holes)) == 24


@pytest.mark.slow
def test_a_wrong_unit_is_doubted_in_one_line(tmp_path: Path, capfd: Any) -> None:
    table = write_recordings(tmp_path)
    for path in sorted(tmp_path.glob("r*.csv")):
        signal = pd.read_csv(path)
        signal[list(CHANNELS)] *= 1000
        signal.rename(columns={name: f"{name} (mV)" for name in CHANNELS}).to_csv(path, index=False)
    assert train("classify", table, tmp_path / "run", "kind") == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("training data: ")]
    assert [line.partition(" covers")[0] for line in lines] == [f"training data: channel {name}" for name in CHANNELS]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["decided"]["doubts"][0] in lines[0]
