"""The task on PTB-XL: trained, scored, applied to records of others and to a stream, with and without the data."""

import io
import json
import shutil
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from tiny_ptbxl import make_ptbxl, name_of

from multiresconv.cli import main
from multiresconv.cli.tasks import restore
from multiresconv.data.ptbxl import LEADS, RATE, open_ptbxl
from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.npy import open_numbers
from multiresconv.data.readers.samples import read_samples
from multiresconv.data.readers.signals import read_signals
from multiresconv.data.readers.wfdb import read_wfdb
from multiresconv.models import load
from multiresconv.runs.directory import RunDirectory

pytestmark = pytest.mark.slow

CLASSES = ("CD", "HYP", "MI", "NORM", "STTC")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ptbxl(tmp_path_factory.mktemp("data") / "ptbxl", n=60)


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["--model.n_layers", "1", "--model.d_model", "6", "--trainer.epochs", "2", "--trainer.batch_size", "8"]
    labels = ["--task.labels", "superdiagnostic", "--data.folder", str(folder), "--trainer.accelerator", "cpu"]
    assert main(["train", "ptbxl", *labels, *arguments, "--run", str(path)]) == 0
    return path


def own_logits(run: Path, folder: Path, signals: np.ndarray) -> torch.Tensor:
    """Logits of signals (n, L, 12) in mV, standardised here instead of by the model."""
    train = np.stack([signal for signal, _ in open_ptbxl(folder, "train", "superdiagnostic")]).astype(np.float64)
    x = torch.from_numpy(((signals - train.mean()) / train.std()).astype(np.float32))
    model = load(run / "model")
    assert model.net.standardise is not None
    model.net.standardise.set(0.0, 1.0)
    with torch.inference_mode():
        return model(x)


def test_evaluate_scores_a_fold_as_scikit_learn_does(
    run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--split", "val", "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    report = json.loads((run / "evaluation-val.json").read_text())
    rows = open_ptbxl(folder, "val", "superdiagnostic")
    signals = np.stack([signal for signal, _ in rows])
    scores, labels = own_logits(run, folder, signals).numpy(), rows.labels
    both = [i for i in range(5) if 0 < labels[:, i].sum() < len(labels)]
    aurocs = [roc_auc_score(labels[:, i], scores[:, i]) for i in both]
    assert len(both) >= 2
    assert report["labels"] == "superdiagnostic"
    assert report["n"] == len(rows)
    assert report["macro_auroc"] == pytest.approx(np.mean(aurocs), abs=1e-9)
    assert f"{len(both)} of 5" in shown
    for name in ("roc.png", "running.png", "curves.png", "roc-val.png", "running-val.png"):
        assert (run / name).read_bytes().startswith(b"\x89PNG")


def test_predict_reads_records_arrays_and_tables_alike_without_the_data(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The classes and the standardiser are in the run: the folder that it was trained on is gone here."""
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    config = (moved / "config.yaml").read_text().replace(str(folder), str(tmp_path / "gone"))
    (moved / "config.yaml").write_text(config)
    record = folder / name_of(10)
    signal, rate = read_wfdb(record, LEADS)
    assert rate == 100
    np.save(tmp_path / "a.npy", signal)
    np.savetxt(tmp_path / "b.csv", signal, delimiter=",", header=",".join(LEADS), comments="", fmt="%.9g")
    files = [str(record), f"{record}.hea", str(tmp_path / "a.npy"), str(tmp_path / "b.csv")]
    assert main(["predict", str(moved), *files, "--json", "--device", "cpu"]) == 0
    rows = [json.loads(line)["probabilities"] for line in capsys.readouterr().out.splitlines()]
    expected = own_logits(run, folder, signal[None]).sigmoid()[0]
    assert len(rows) == 4
    for row in rows:
        torch.testing.assert_close(torch.tensor([row[name] for name in CLASSES]), expected, rtol=1e-4, atol=1e-6)


def test_a_stream_ends_with_the_prediction_for_the_whole(
    run: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    signal = read_wfdb(folder / name_of(20), LEADS)[0][:300]
    text = "\n".join(" ".join(f"{value:.9g}" for value in sample) for sample in signal)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["predict", str(run), "--stream", "--json"]) == 0
    rows = [json.loads(line)["probabilities"] for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 300
    for steps in (1, 150, 300):
        expected = own_logits(run, folder, signal[None, :steps]).sigmoid()[0]
        seen = torch.tensor([rows[steps - 1][name] for name in CLASSES])
        torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)


def test_the_model_says_what_goes_in_and_what_comes_out(run: Path) -> None:
    model, (task, _) = load(run / "model"), restore(RunDirectory(run))
    assert (model.input.kind, model.input.channels, model.input.unit, model.input.rate) == ("signal", LEADS, "mV", 100)
    assert (model.output.kind, model.output.names) == ("labels", CLASSES)
    assert model.net.standardise is not None
    for values, expected in zip(model.net.standardise.buffers(), task.standardiser, strict=True):
        torch.testing.assert_close(values, torch.full((12,), expected))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npy", np.zeros((100, 11), np.float32), "expected shape (length, 12)"),
        ("a.npy", np.full((100, 12), np.nan), "expected a finite number"),
        ("a.npy", np.full((10, 12), "x"), "expected numbers"),
        ("a.csv", "1,2,3\n", "line 1: expected 12 number(s), got 3"),
        ("a.csv", ",".join(LEADS) + "\n" + ",".join("1" * 12) + "\nx\n", "line 3: expected 12 number(s), got 1"),
        ("a.csv", "", "no sample"),
        (
            "a.csv",
            ",".join(reversed(LEADS)) + "\n" + ",".join("1" * 12),
            "line 1: expected the columns in the order I, II",
        ),
        ("a.csv", "x," + ",".join("1" * 11), "line 1, column 1 (I): expected a number"),
        ("a.npy", np.full((100, 12), 1e300), "expected a finite number"),
        ("a", "", "a.hea: no such file"),
        ("a.png", "", "arrays and tables are read by their suffix, .npy or .csv"),
    ],
)
def test_signals_that_are_none_are_refused(name: str, content: np.ndarray | str, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content)
    else:
        np.save(path, content)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        list(chain.from_iterable(read_signals(path, Channels(LEADS, "mV", RATE))))
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("header", [[], ["I,II"], ['"i", "ii"'], ["I II"]])
def test_samples_name_their_line(header: list[str]) -> None:
    samples = read_samples([*header, "1 2", "3, 4", "5 inf"], Channels(("I", "II")))
    assert [next(samples).tolist(), next(samples).tolist()] == [[[1.0, 2.0]], [[3.0, 4.0]]]
    line = len(header) + 3
    with pytest.raises(ValueError, match=rf"standard input, line {line}, column 2 \(II\): expected a finite number"):
        next(samples)


def test_leads_in_another_order_are_refused() -> None:
    with pytest.raises(ValueError, match="standard input, line 1: expected the columns in the order I, II, got II, I"):
        next(read_samples(["II I", "1 2"], Channels(("I", "II"))))


def test_hostile_arrays_are_refused(tmp_path: Path) -> None:
    archive, endless, pickled = (tmp_path / f"{name}.npy" for name in ("archive", "endless", "pickled"))
    with open(archive, "wb") as file:
        np.savez(file, a=np.zeros((100, 12)))
    with open(endless, "wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**13, 12)}
        np.lib.format.write_array_header_1_0(file, header)
    np.save(pickled, np.array([{}], object))
    for path in (archive, endless, pickled):
        with pytest.raises(ValueError, match=f"^{path}: not a .npy file of numbers: "):
            open_numbers(path)
