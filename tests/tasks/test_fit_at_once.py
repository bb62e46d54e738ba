"""Runs whose model is fitted at once: by ridge regression alone, or as what a trained network has to beat."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_table import write_recordings

from multiresconv import MultiresRegressor, MultiresRidge, load
from multiresconv.cli import main
from multiresconv.data.recordings import TableData
from multiresconv.runs.train import suffices
from multiresconv.tasks import Classify, ClassifyOptions, RecordingModelOptions, recording_task
from multiresconv.training.state import Best

NETWORK = ["--model.d_model", "8", "--model.n_layers", "1", "--trainer.epochs", "2", "--trainer.accelerator", "cpu"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("recordings"))


def train(table: Path, run: Path, *options: str, task: str = "classify", target: str = "kind") -> int:
    where = ["--data.table", str(table), "--data.target", target, "--run", str(run)]
    return main(["train", task, *where, *options])


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def ridge(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "ridge"
    assert train(table, run, "--data.group", "patient") == 0
    return run


@pytest.mark.slow
def test_few_rows_are_fitted_at_once_and_every_command_takes_the_run(
    ridge: Path, table: Path, tmp_path: Path, capfd: Any
) -> None:
    assert isinstance(load(ridge / "model"), MultiresRidge)
    assert json.loads((ridge / "run.json").read_text())["decided"]["methods"] == ["ridge"]
    [line] = lines(ridge)
    assert (line["kind"], line["step"], line["epoch"], line["best"]) == ("val", 0, 0, True)
    assert main(["evaluate", str(ridge)]) == 0
    assert json.loads((ridge / "evaluation-test.json").read_text())["accuracy"] == 1.0
    assert main(["report", str(ridge)]) == 0
    assert main(["predict", str(ridge), str(table.parent / "r000.csv")]) == 0
    assert capfd.readouterr().out.splitlines()[-1].startswith("slow\t")
    assert main(["explain", str(ridge), str(table.parent / "r001.csv"), "--out", str(tmp_path / "why.png")]) == 0
    assert (tmp_path / "why.png").stat().st_size > 10_000
    assert main(["predict", str(ridge / "model"), str(table.parent / "r000.csv"), "--missing", "hold"]) == 0


@pytest.mark.slow
def test_what_a_fitted_model_cannot_do_is_said(ridge: Path, capfd: Any) -> None:
    assert main(["evaluate", str(ridge), "--split", "val"]) == 2
    assert "ridge regression was fitted to the validation rows too" in capfd.readouterr().err
    assert main(["inspect", str(ridge)]) == 2
    assert "learns no filters; use multiresconv explain" in capfd.readouterr().err


@pytest.mark.slow
def test_a_finished_run_stays_and_an_unfinished_one_is_fitted_again(ridge: Path, table: Path, tmp_path: Path) -> None:
    before = (ridge / "model" / "model.safetensors").read_bytes()
    changed = (ridge / "model" / "model.safetensors").stat().st_mtime_ns
    assert main(["train", "classify", "--resume", str(ridge)]) == 0
    assert (ridge / "model" / "model.safetensors").stat().st_mtime_ns == changed
    assert len(lines(ridge)) == 1
    run = tmp_path / "again"
    assert train(table, run, "--data.group", "patient") == 0
    assert (run / "model" / "model.safetensors").read_bytes() == before
    (run / "model" / "config.json").unlink()  # as if it had been killed while it was saved
    assert main(["train", "classify", "--resume", str(run)]) == 0
    assert (run / "model" / "model.safetensors").read_bytes() == before
    assert len(lines(run)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("task", "target", "kind"), [("label", "tags", "labels"), ("regress", "speed,back", "value")])
def test_labels_and_values_are_fitted_too(task: str, target: str, kind: str, table: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(table, run, task=task, target=target) == 0
    model = load(run / "model")
    assert isinstance(model, MultiresRidge)
    assert model.output.kind == kind
    assert main(["evaluate", str(run)]) == 0
    report = json.loads((run / "evaluation-test.json").read_text())
    if kind == "labels":
        assert report["macro_auroc"] > 0.9
    else:  # speeds are about 2 or 10
        assert report["per_target"][0]["mae"] < 1
    assert main(["explain", str(run), str(table.parent / "r001.csv"), "--out", str(tmp_path / "why.png")]) == 0


@pytest.mark.slow
def test_with_more_rows_the_network_has_to_beat_it(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_task, "ENOUGH_ROWS", 10)
    run = tmp_path / "both"
    assert train(table, run, *NETWORK, "--optimizer.lr", "1e-9", task="regress", target="speed") == 0
    first, *later = [line for line in lines(run) if line["kind"] == "val"]
    assert (first["epoch"], first["best"]) == (0, True)
    assert [line["best"] for line in later] == [False, False]  # with this learning rate it learns nothing
    assert isinstance(load(run / "model"), MultiresRidge)
    assert main(["train", "regress", "--resume", str(run)]) == 0
    assert isinstance(load(run / "model"), MultiresRidge)
    assert [line["epoch"] for line in lines(run) if line["kind"] == "val"] == [0, 1, 2]


@pytest.mark.slow
def test_the_network_replaces_it_if_it_is_better(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_task, "ENOUGH_ROWS", 10)
    monkeypatch.setattr(recording_task, "FEATURES", {**recording_task.FEATURES, "n_filters": 1, "n_thresholds": 1})
    from multiresconv.tasks import ridge as fitting

    fit = fitting.fit_ridge_model  # with this penalty it predicts the mean
    monkeypatch.setattr(fitting, "fit_ridge_model", lambda *args, **options: fit(*args, **options, alphas=(1e9,)))
    run = tmp_path / "network"
    options = [*NETWORK, "--trainer.epochs", "30", "--optimizer.lr", "0.01"]
    assert train(table, run, *options, task="regress", target="speed") == 0
    assert isinstance(load(run / "model"), MultiresRegressor)


@pytest.mark.slow
def test_no_network_is_trained_if_nothing_is_left_to_improve(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_task, "ENOUGH_ROWS", 10)
    run = tmp_path / "perfect"
    for arguments in (["--run", str(run), "--data.table", str(table), "--data.target", "kind"], ["--resume", str(run)]):
        assert main(["train", "classify", *arguments]) == 0
        assert [line["epoch"] for line in lines(run)] == [0]


def task(table: Path, **options: Any) -> Classify:
    return Classify(TableData(table=table, target="kind"), ClassifyOptions(), RecordingModelOptions(**options))


def test_the_method_follows_from_the_rows_the_options_and_a_network_of_ones_own(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(Classify):
        def build(self) -> Any:
            return super().build()

    few = task(table)
    assert few.methods == ("ridge",)
    assert task(table, method="network").methods == ("network",)
    assert task(table, init=Path("model")).methods == ("network",)
    assert Own(few.data, few.task, few.model).methods == ("network",)
    monkeypatch.setattr(recording_task, "ENOUGH_ROWS", 10)
    assert task(table).methods == ("ridge", "network")
    for limit in ("MOST_ROWS", "MOST_STEPS"):
        with monkeypatch.context() as context:
            context.setattr(recording_task, limit, 10)
            assert task(table).methods == ("network",)
    with pytest.raises(ValueError, match=r"model\.init: expected null with the method ridge"):
        task(table, method="ridge", init=Path("model"))


def test_equal_arguments_give_equal_models_and_class_weights_count(table: Path) -> None:
    plain = task(table)
    first, second = (plain.fit_at_once(("train",), 3).head.weight for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(plain.fit_at_once(("train",), 4).head.weight, first)
    balanced = Classify(plain.data, replace(plain.task, class_weights="balanced"), plain.model)
    weights = balanced.row_weights(np.array([0, 1]))
    assert weights is not None
    assert weights.shape == (2,)


def test_under_torchrun_a_wanted_network_is_trained_since_the_other_processes_wait(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perfect = Best(0, 0, 1.0, {})
    assert suffices(task(table), ("ridge", "network"), perfect)
    assert not suffices(task(table), ("ridge", "network"), replace(perfect, score=0.9))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    assert not suffices(task(table), ("ridge", "network"), perfect)
    assert suffices(task(table), ("ridge",), None)


@pytest.mark.slow
def test_an_option_of_the_network_that_is_wrong_shows_before_the_fit(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(recording_task, "ENOUGH_ROWS", 10)
    assert train(table, tmp_path / "run", "--model.kernel_size", "1") == 2
    error = capfd.readouterr().err
    assert "kernel_size: expected at least 2, got 1" in error
    assert "config.yaml" not in error
    assert not (tmp_path / "run").exists()
