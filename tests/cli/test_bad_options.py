"""Options are checked before data are made, and a wrong name gets a suggestion."""

from pathlib import Path

import pytest
import torch

from multiresconv.cli import main


def error_of(arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments.split()) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line.removeprefix("multiresconv: error: ")


@pytest.mark.parametrize("task", ["listops", "smnist", "ptbxl", "cifar-density"])
@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ("--model.n_layers 0", "n_layers: expected at least 1, got 0"),
        ("--model.kernel_size 1", "kernel_size: expected at least 2, got 1"),
        ("--model.depth 0", "depth: expected at least 1, got 0"),
        ("--model.dropout 2", "dropout: expected a probability, got 2.0"),
        ("--model.wavelet foo", "kernel_size, wavelet: give one of them, got 4 and 'foo'"),
        ("--model.memory [1,2]", "contradicts the 2 scales of (1, 2)"),
        ("--model.init nowhere", "nowhere: expected a model folder, there is none"),
        ("--optimizer.lr -1", "optimizer.lr: expected a finite number above 0, got -1.0"),
        ("--seed -1", "seed: expected 0 to 2^63 - 1, got -1"),
        ("--max_time soon", "max_time: expected HH:MM:SS or DD:HH:MM:SS, got 'soon'"),
    ],
)
def test_options_are_checked_before_data_are_made(
    task: str,
    options: str,
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fault in error_of(f"train {task} --model.kernel_size 4 {options}", capsys)
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_missed_before_data_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    error = error_of("train listops --trainer.accelerator gpu", capsys)
    assert error == "trainer.accelerator: gpu was named, but torch finds no GPU"
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("train listops --lr 1", "for --lr did you mean --optimizer.lr?"),
        ("train listops --model.nlayers 3", "for --model.nlayers did you mean --model.n_layers?"),
        ("train smnist --batch-size 3", "for --batch-size did you mean --trainer.batch_size?"),
        ("train smnist --optimiser.lr 3", "for --optimiser.lr did you mean --optimizer.lr?"),
        ("predict model --streaming", "for --streaming did you mean --stream?"),
        ("train listops --epoch 1 --lr 2", "for --epoch did you mean --trainer.epochs?; for --lr did you mean"),
        ("data listops --ntrain 3", "for --ntrain did you mean --n_train?"),
    ],
)
def test_an_unknown_option_gets_a_suggestion(arguments: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(arguments, capsys)
    assert error.startswith("unrecognized arguments: ")
    assert meant in error


def test_what_is_like_nothing_gets_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of("predict model --xyzzy", capsys) == "unrecognized arguments: --xyzzy"
