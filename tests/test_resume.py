"""A run that was stopped and resumed ends with the numbers of one that was not, bit for bit."""

import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from tiny_run import STEPS_PER_EPOCH, metrics, train, train_arguments, write_data

from multiresconv.cli import main
from multiresconv.training.stopping import StopRequest, parse_max_time

VAL_BATCHES = 2
MOMENTS = 3 * (STEPS_PER_EPOCH + VAL_BATCHES)  # of three epochs: after every training step and every validation batch


class StopAt(StopRequest):
    """Wants to stop when asked for the n-th time."""

    n = 0

    def wanted(self) -> bool:
        StopAt.n -= 1
        return StopAt.n == 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "listops")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert train(data, run) == 0
    return run


def assert_same_run(run: Path, whole: Path) -> None:
    assert metrics(run) == metrics(whole)
    for name in ("last", "best"):
        a, b = (torch.load(r / "checkpoints" / f"{name}.ckpt", weights_only=True) for r in (run, whole))
        assert a["model"].keys() == b["model"].keys()
        for key in a["model"]:
            assert torch.equal(a["model"][key], b["model"][key]), f"{name}: {key}"
        for mine, theirs in zip(a["optimizer"]["state"].values(), b["optimizer"]["state"].values(), strict=True):
            assert all(torch.equal(mine[key], theirs[key]) for key in mine)
        assert a["state"]["step"] == b["state"]["step"]
    assert (run / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("moment", range(1, MOMENTS + 1))
def test_stopped_anywhere_and_resumed_is_as_never_stopped(
    moment: int, data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiresconv.training.fit.draw", lambda *_: None)
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("multiresconv.training.fit.StopRequest", StopAt)
        StopAt.n = moment
        assert train(data, run) == 0
    assert StopAt.n == 0, "the run went on after it was asked to stop"
    assert main(["train", "listops", "--resume", str(run)]) == 0
    assert_same_run(run, whole)


def test_stopped_at_every_second_moment_is_as_never_stopped(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiresconv.training.fit.draw", lambda *_: None)
    monkeypatch.setattr("multiresconv.training.fit.StopRequest", StopAt)
    run, sittings = tmp_path / "run", 0
    arguments = train_arguments(data, run)
    while sittings == 0 or StopAt.n == 0:
        StopAt.n = 3
        assert main(arguments) == 0
        arguments = ["train", "listops", "--resume", str(run)]
        sittings += 1
    assert sittings > 3
    assert_same_run(run, whole)
