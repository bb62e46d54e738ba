"""A training run: what it writes, what it refuses, and that it does not depend on the number of processes."""

import json
import math
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seeded import python_module
from tiny_run import N_VAL, metrics, train, train_arguments, write_data

from multiresconv.cli import main
from multiresconv.data import TokenBuckets
from multiresconv.data.listops import split_path
from multiresconv.models import load
from multiresconv.tasks import ListOps, ListOpsData, PooledModelOptions
from multiresconv.training.schedule import learning_rate
from multiresconv.training.stopping import StopRequest

pytestmark = pytest.mark.slow

WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")


def test_a_run_holds_its_files_and_nothing_else(run: Path) -> None:
    names = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    assert names == [
        ".lock",
        "by-length-and-depth.png",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "config.yaml",
        "confusion.png",
        "curves.png",
        "metrics.jsonl",
        "model/config.json",
        "model/model.safetensors",
        "run.json",
    ]


def test_metrics_have_a_line_per_interval_and_per_validation(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    positions = [(line["kind"], line["step"], line["epoch"]) for line in lines]
    assert positions == [
        ("train", 3, 1),
        ("val", 4, 1),
        ("train", 6, 2),
        ("val", 8, 2),
        ("train", 9, 3),
        ("train", 12, 3),
        ("val", 12, 3),
    ]
    for line in lines:
        assert math.isfinite(line["loss"])
        assert 0 <= line["accuracy"] <= 1
        if line["kind"] == "train":
            assert line["samples_per_second"] > 0
        else:
            assert line["n"] == N_VAL
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)


def test_the_model_folder_has_the_weights_of_the_best_validation(run: Path, data: Path) -> None:
    validations = [line for line in metrics(run) if line["kind"] == "val"]
    best = max(validations, key=lambda line: line["accuracy"])  # the first of equals
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["state"]["step"] == best["step"]
    assert [line["step"] for line in validations if line["best"]][-1] == best["step"]
    weights = load(run / "model").state_dict()
    assert all(torch.equal(weights[name], value) for name, value in checkpoint["model"].items())


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(run: Path, data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "same") == 0
    assert train(data, tmp_path / "other", seed=1) == 0
    assert metrics(tmp_path / "same") == metrics(run)
    assert metrics(tmp_path / "other")[0]["loss"] != metrics(run)[0]["loss"]


def test_training_never_opens_the_test_split(run: Path, data: Path, tmp_path: Path) -> None:
    copy = write_data(tmp_path / "data")
    split_path(copy, "test").unlink()
    assert train(copy, tmp_path / "run") == 0
    assert metrics(tmp_path / "run") == metrics(run)


def test_progress_shows_loss_accuracy_speed_and_the_time_left(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, tmp_path / "run", trainer__epochs=1) == 0
    shown = capsys.readouterr().err
    line = r"epoch 1, 100%, loss \d\.\d+, accuracy \d\.\d+, val \d\.\d+, \d+ samples/s, 00:00 left \(best\)\n"
    assert re.fullmatch(line, shown)
    assert "\r" not in shown, "a bar, though nobody watches"
    assert "lightning" not in shown.lower(), "no remark and no warning of Lightning's"


def test_the_network_learns(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "run", trainer__epochs=40, model__dropout=0, optimizer__weight_decay=0) == 0
    lines = [line for line in metrics(tmp_path / "run") if line["kind"] == "train"]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]


TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "--", "multiresconv.cli"]


def test_two_processes_compute_what_one_does(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "one", model__dropout=0) == 0
    one = metrics(tmp_path / "one")
    launchers = {
        "lightning": ["multiresconv.cli", *train_arguments(data, tmp_path / "lightning", trainer__devices=2)],
        "torchrun": [*TORCHRUN, *train_arguments(data, tmp_path / "torchrun")],  # its processes are taken as they are
    }
    for name, command in launchers.items():  # one after the other: each looks for a free port before it takes it
        command += ["--model.dropout", "0"]
        result = subprocess.run(python_module(*command), capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("best validation") == 1, "more than the first process spoke"
        for a, b in zip(one, metrics(tmp_path / name), strict=True):
            assert b == {**a, "loss": pytest.approx(a["loss"], rel=1e-4)}, name


BY_TOKENS = {"trainer__batch_size": "null", "trainer__batch_tokens": 48, "trainer__log_every": 1}


def test_batches_by_tokens_keep_epochs_and_schedule(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "run", **BY_TOKENS, optimizer__warmup_epochs=1) == 0
    steps = [line for line in metrics(tmp_path / "run") if line["kind"] == "train"]
    lengths = (
        ListOps(ListOpsData(folder=data), PooledModelOptions(d_model=8, n_layers=1, depth=3)).open("train").lengths
    )
    per_epoch = len(TokenBuckets(lengths, 48))
    assert per_epoch > 2
    assert [line["epoch"] for line in steps] == [epoch for epoch in (1, 2, 3) for _ in range(per_epoch)]
    rates = [learning_rate(n, peak=0.01, warmup_steps=per_epoch, total_steps=3 * per_epoch) for n in range(len(steps))]
    assert [line["lr"] for line in steps] == rates


def test_batches_by_tokens_resume_in_the_middle_of_an_epoch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(data, tmp_path / "whole", **BY_TOKENS) == 0
    wanted = StopRequest.wanted
    asked = iter(range(1_000_000))
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "wanted", lambda self: next(asked) == 1 or wanted(self))
        assert train(data, tmp_path / "run", **BY_TOKENS) == 0
    assert metrics(tmp_path / "run")[-1]["step"] == 2
    assert main(["train", "listops", "--resume", str(tmp_path / "run")]) == 0
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")


def test_two_processes_take_the_same_batches_by_tokens(data: Path, tmp_path: Path) -> None:
    options = {**BY_TOKENS, "trainer__batch_tokens": 60, "model__dropout": 0}
    assert train(data, tmp_path / "one", **options) == 0
    command = ["multiresconv.cli", *train_arguments(data, tmp_path / "two", **options, trainer__devices=2)]
    result = subprocess.run(python_module(*command), capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    for a, b in zip(metrics(tmp_path / "one"), metrics(tmp_path / "two"), strict=True):
        assert b == {**a, "loss": pytest.approx(a["loss"], rel=1e-4)}


def gradient_norms(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Where the norm of the gradient at every step of the optimizer is put down."""
    norms: list[float] = []
    step = torch.optim.AdamW.step

    def noting(self: torch.optim.AdamW, closure: Any = None) -> Any:
        def noting_closure() -> Any:
            loss = closure()
            gradients = [p.grad for group in self.param_groups for p in group["params"]]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)))
            return loss

        return step(self, noting_closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", noting)
    return norms


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_clip_bounds_the_norm_of_the_gradient(
    precision: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = gradient_norms(monkeypatch)
    options = {"trainer__epochs": 1, "trainer__precision": precision}
    assert train(data, tmp_path / "free", **options) == 0
    free = [norms.pop() for _ in range(len(norms))]
    assert min(free) > 0.1
    assert train(data, tmp_path / "clipped", **options, optimizer__clip=0.1) == 0
    assert norms == pytest.approx([0.1] * len(free), rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions_train_and_are_evaluated(precision: str, run: Path, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "run"
    assert train(data, other, trainer__precision=precision, model__dropout=0) == 0
    assert train(data, tmp_path / "single", model__dropout=0) == 0
    for a, b in zip(metrics(other), metrics(tmp_path / "single"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=0.05)
    assert metrics(other) != metrics(tmp_path / "single")
    assert main(["evaluate", str(other), "--device", "cpu"]) == 0


def test_a_run_that_is_there_is_not_overwritten(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "metrics.jsonl").read_bytes()
    assert train(data, run) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"--resume {run}" in error
    assert (run / "metrics.jsonl").read_bytes() == before


def test_a_folder_without_data_gets_them_and_one_with_other_files_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def generate(data: ListOpsData, *, overwrite: bool = False) -> None:
        assert data.n_train == 31
        write_data(data.folder)
        if data.folder.name == "missing":
            raise FileExistsError("another process was first")

    monkeypatch.setattr("multiresconv.tasks.listops.generate", generate)
    (tmp_path / "empty").mkdir()
    for name in ("missing", "empty"):
        assert train(tmp_path / name, tmp_path / f"run-{name}", data__n_train=31, trainer__epochs=1) == 0
        assert f"{tmp_path / name}: no data there yet, generating" in capsys.readouterr().err

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.jpg").touch()
    assert train(tmp_path / "other", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "basic_train.tsv" in error
    assert f"multiresconv data listops --folder {tmp_path / 'other'}" in error
    assert not (tmp_path / "run").exists(), "a run that never began must not be in the way of the next"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("trainer__epochs", 0, "trainer.epochs: expected null or at least 1, got 0"),
        pytest.param("trainer__accelerator", "gpu", "trainer.accelerator: ", marks=WITHOUT_GPU),
        ("trainer__devices", 4, "trainer.batch_size: expected a multiple of the 4 processes, got 6"),
        ("trainer__devices", 0, "trainer.devices"),
        ("trainer__batch_size", "null", "trainer.batch_size: expected a number; this task chooses none, got None"),
        ("trainer__batch_tokens", 99, "trainer.batch_size: expected null with batch_tokens 99, got 6"),
        ("trainer__batch_tokens", 0, "trainer.batch_tokens: expected null or at least 1, got 0"),
        ("optimizer__clip", 0, "optimizer.clip: expected null or a number above 0, got 0"),
        ("optimizer__lr", -1, "optimizer.lr"),
        ("optimizer__lr", "nan", "optimizer.lr"),
        ("model__n_layers", 0, "n_layers"),
        ("model__wavelet", "db2", "kernel_size"),
        ("trainer__checkpoint_seconds", -1, "trainer.checkpoint_seconds"),
        ("max_time", "99999999999:00:00", "max_time: expected less than a billion days"),
        ("max_time", "soon", "max_time: expected HH:MM:SS or DD:HH:MM:SS, got 'soon'"),
        ("seed", -1, "seed"),
    ],
)
def test_options_out_of_range_end_in_one_line(
    option: str, value: object, said: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, tmp_path / "run", **{option: value}) == 2
    error = capsys.readouterr().err
    assert error.startswith("multiresconv: error: ")
    assert error.count("\n") == 1
    assert said in error
    assert not (tmp_path / "run").exists()


@given(total=st.integers(2, 300), share=st.floats(0, 0.9), peak=st.floats(1e-5, 1.0))
def test_learning_rate_rises_to_its_peak_and_falls_to_nothing(total: int, share: float, peak: float) -> None:
    warmup = share * total
    rates = [learning_rate(s, peak=peak, warmup_steps=warmup, total_steps=total) for s in range(total + 1)]
    top = rates.index(max(rates))
    assert all(0 < rate <= peak for rate in rates[:-1])
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert abs(top - (warmup - 1)) <= 1 or top == 0


def test_resume_of_what_is_no_run_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "listops", "--resume", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"multiresconv: error: {tmp_path} is no run directory: it has no run.json\n"
