"""The tasks on images: what they read, how they split, train, score, predict and stream."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tiny_images import cifar_records, write_cifar, write_mnist

from multiresconv.cli import main
from multiresconv.cli.tasks import restore
from multiresconv.data.mnist import open_mnist
from multiresconv.data.readers.images import read_images
from multiresconv.models import MultiresClassifier, load
from multiresconv.runs.directory import RunDirectory
from multiresconv.tasks import ImageClassification, PooledModelOptions, psmnist, smnist
from multiresconv.tasks.cifar_data import CifarData
from multiresconv.tasks.mnist_data import MnistData

pytestmark = pytest.mark.slow

SMALL = ["--model.n_layers", "1", "--model.d_model", "6", "--model.depth", "4", "--trainer.accelerator", "cpu"]
BRIEF = ["--trainer.epochs", "1", "--trainer.batch_size", "6", "--trainer.log_every", "1"]
MODEL = PooledModelOptions(n_layers=1, d_model=4, depth=3)


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mnist(tmp_path_factory.mktemp("data") / "mnist")


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cifar(tmp_path_factory.mktemp("data") / "cifar10", test=False)


@pytest.fixture(scope="module")
def run(mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "smnist"
    arguments = ["train", "smnist", *SMALL, *BRIEF, "--data.folder", str(mnist), "--run", str(path)]
    assert main([*arguments, "--trainer.epochs", "8"]) == 0
    return path


@pytest.fixture(scope="module")
def density_run(cifar: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "density"
    data = ["--data.folder", str(cifar), "--data.batches", "[1]", "--data.val_share", "0.25"]
    assert main(["train", "cifar-density", *SMALL, *BRIEF, *data, "--run", str(path)]) == 0
    return path


def own_logits(run: Path, pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Logits of images (n, 784, 1), standardised here instead of by the model."""
    x = (torch.from_numpy(pixels).float() / 255 - 0.1307) / 0.3081
    model = load(run / "model")
    assert model.net.standardise is not None
    model.net.standardise.set(0.0, 1.0)
    with torch.inference_mode():
        return model(x)


def test_training_and_validation_rows_are_apart_and_together_everything(mnist: Path) -> None:
    data = MnistData(mnist, val_share=0.2)
    train, val = data.open("train"), data.open("val")
    assert (len(train), len(val)) == (32, 8)
    assert sorted([*train.chosen, *val.chosen]) == list(range(40))
    fewer = MnistData(mnist, val_share=0.2, n_train=10)
    assert np.array_equal(fewer.open("train").chosen, train.chosen[:10])
    assert np.array_equal(fewer.open("val").chosen, val.chosen), "the validation does not depend on n_train"
    assert train.checksum() != val.checksum() != fewer.open("train").checksum()
    assert np.array_equal(data.open("test").images.pixels, open_mnist(mnist, "test").pixels)


@pytest.mark.parametrize("options", [{"val_share": 0.0}, {"val_share": 1.0}, {"val_share": 0.001}, {"n_train": 37}])
def test_a_split_that_cannot_be_is_refused(options: dict[str, float], mnist: Path) -> None:
    with pytest.raises(ValueError, match=r"^data\.(val_share|n_train): expected "):
        MnistData(mnist, **options).open("train")  # pyright: ignore[reportArgumentType]


def test_the_shuffled_order_is_a_permutation_that_never_changes(mnist: Path) -> None:
    order = psmnist(MnistData(mnist), MODEL).order
    assert order is not None
    assert sorted(order.tolist()) == list(range(784))
    assert order[:5].tolist() == [318, 2, 606, 446, 758]


def test_a_permuted_task_sees_the_pixels_in_that_order(mnist: Path) -> None:
    plain, shuffled = smnist(MnistData(mnist), MODEL), psmnist(MnistData(mnist), MODEL)
    seen: list[torch.Tensor] = []

    class Spy(MultiresClassifier):
        def forward(self, x: torch.Tensor) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            seen.append(x)
            return x.new_zeros(len(x), 10)

    model = Spy(10, 4, 1, d_input=1, depth=2)
    batch = plain.collate([plain.open("train")[i] for i in range(3)])
    plain.run(model, batch)
    shuffled.run(model, batch)
    assert shuffled.order is not None
    assert torch.equal(seen[0][:, shuffled.order], seen[1])
    assert not torch.equal(seen[0], seen[1])


def test_pixels_are_normalised_by_channel(cifar: Path) -> None:
    data = CifarData(cifar)
    model = ImageClassification("scifar", data, MODEL).build().double()
    pixels = torch.tensor([[[255, 0, 51]]], dtype=torch.uint8)
    expected = [(v - m) / s for v, m, s in zip((1.0, 0.0, 0.2), data.mean, data.std, strict=True)]
    assert model.net.standardise is not None
    assert model.net.standardise(pixels).flatten().tolist() == pytest.approx(expected, rel=1e-6)


def test_the_network_learns_and_is_scored_on_the_test_images(run: Path, mnist: Path) -> None:
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    report = json.loads((run / "evaluation-test.json").read_text())
    test = open_mnist(mnist, "test")
    hits = (own_logits(run, test.pixels).argmax(1).numpy() == test.labels).sum()
    assert (report["n"], report["accuracy"]) == (12, hits / 12)
    for name in ("curves.png", "confusion.png", "examples.png", "confusion-test.png", "examples-test.png"):
        assert (run / name).read_bytes().startswith(b"\x89PNG")


def test_a_run_is_scored_where_the_data_are_now(run: Path, mnist: Path, tmp_path: Path) -> None:
    moved = write_mnist(tmp_path / "elsewhere", n_test=7)
    assert main(["evaluate", str(run), "--folder", str(moved), "--device", "cpu"]) == 0
    assert json.loads((run / "evaluation-test.json").read_text())["n"] == 7


def test_predict_reads_pictures_arrays_and_tables_alike(
    run: Path, mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = open_mnist(mnist, "test").pixels[:3]
    np.save(tmp_path / "a.npy", images.reshape(3, 28, 28))
    np.savetxt(tmp_path / "b.csv", images.reshape(3, -1), fmt="%d", delimiter=",")
    for i, image in enumerate(images):
        Image.fromarray(image.reshape(28, 28)).save(tmp_path / f"{i}.png")
    expected = own_logits(run, images).softmax(1)
    shown = []
    for files in (["a.npy"], ["b.csv"], ["0.png", "1.png", "2.png"]):
        assert main(["predict", str(run), *(str(tmp_path / file) for file in files), "--json", "--device", "cpu"]) == 0
        rows = [json.loads(line)["probabilities"] for line in capsys.readouterr().out.splitlines()]
        shown.append([[row[str(digit)] for digit in range(10)] for row in rows])
    for probabilities in shown:
        torch.testing.assert_close(torch.tensor(probabilities), expected)


def test_a_stream_ends_with_the_prediction_for_the_whole(
    run: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = open_mnist(mnist, "test").pixels[:1]
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{value}\n" for value in image.flatten())))
    assert main(["predict", str(run), "--stream", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 785))
    for steps in (1, 100, 784):
        expected = own_logits(run, image[:, :steps]).softmax(1)[0]
        seen = [rows[steps - 1]["probabilities"][str(digit)] for digit in range(10)]
        torch.testing.assert_close(torch.tensor(seen), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("a.npy", np.zeros((3, 27, 28), np.uint8), "expected an array of shape (784, 1) or (28, 28, 1)"),
        ("a.npy", np.full((28, 28), 256), "expected pixels from 0 to 255"),
        ("a.npy", np.full((28, 28), 0.5), "expected whole numbers"),
        ("a.npy", np.full((28, 28), np.nan), "expected pixels from 0 to 255"),
        ("a.npy", np.full((28, 28), "x"), "expected numbers, got <U1"),
        ("a.npy", "no array", "not a .npy file of numbers"),
        ("a.csv", "", "no image in it; expected a line of 784 numbers for each"),
        ("a.csv", "1,2,3\n", "line 1: expected 784 number(s), got 3"),
        ("a.csv", "1,x,3\n", "line 1: expected 784 number(s), got 3"),
        ("a.png", "no picture", "expected a picture (PNG, JPEG, GIF, BMP, TIFF, PPM)"),
    ],
)
def test_inputs_that_are_no_images_are_refused(name: str, values: NDArray | str, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if isinstance(values, str):
        path.write_text(values)
    else:
        np.save(path, values)
    with pytest.raises(ValueError, match=r".*") as caught:
        read_images(path, 28, 1)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (28, 30)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="expected 28 x 28 pixels, got 28 x 30"):
        read_images(tmp_path / "a.png", 28, 1)


def test_the_test_images_of_cifar_may_be_absent(density_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(density_run), "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert "test_batch.bin" in error
    assert error.count("\n") == 1


def test_density_is_scored_in_bits_per_dimension(density_run: Path, cifar: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.bin"
    file.write_bytes(cifar_records(9, 77))
    assert main(["evaluate", str(density_run), "--file", str(file), "--batch_size", "4", "--device", "cpu"]) == 0
    report = json.loads((density_run / "evaluation-file-mine.json").read_text())
    task, _ = restore(RunDirectory(density_run))
    rows = task.open_file(file)
    model = load(density_run / "model")
    with torch.inference_mode():
        bits = model.bits_per_dim(task.collate([rows[i] for i in range(9)]).pixels).double()
    assert report["n"] == 9
    assert report["bits_per_dim"] == pytest.approx(bits.mean().item(), rel=1e-6)
    half = 1.96 * bits.std().item() / 3
    assert report["bits_per_dim_95"] == pytest.approx([float(bits.mean()) - half, float(bits.mean()) + half], rel=1e-4)
    for name in ("samples.png", "completions.png", "samples-file-mine.png", "completions-file-mine.png", "curves.png"):
        assert (density_run / name).read_bytes().startswith(b"\x89PNG")


def test_a_density_run_keeps_the_model_with_the_fewest_bits(density_run: Path) -> None:
    lines = RunDirectory(density_run).read_metrics()
    assert all("accuracy" not in line for line in lines)
    validations = [line for line in lines if line["kind"] == "val"]
    assert [line["best"] for line in validations] == [
        line["bits_per_dim"] < min([v["bits_per_dim"] for v in validations[:i]], default=9e9)
        for i, line in enumerate(validations)
    ]


def test_sample_draws_and_completes(density_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "drawn.png"
    assert main(["sample", str(density_run), "--n", "3", "--seed", "5", "--out", str(out), "--device", "cpu"]) == 0
    drawn = np.load(tmp_path / "drawn.npy")
    assert (drawn.shape, drawn.dtype) == ((3, 32, 32, 3), np.uint8)
    with Image.open(out) as picture:
        assert np.array_equal(np.asarray(picture)[1:129:4, 1:129:4], drawn[0]), "the grid shows the pixels as they are"
    given = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    np.save(tmp_path / "given.npy", given)
    arguments = ["--complete", str(tmp_path / "given.npy"), "--rows", "20", "--n", "2"]
    assert main(["sample", str(density_run), *arguments, "--device", "cpu"]) == 0
    assert capsys.readouterr().out.endswith(f"{density_run / 'completed.png'}, {density_run / 'completed.npy'}\n")
    completed = np.load(density_run / "completed.npy").reshape(2, 2, 32, 32, 3)
    assert np.array_equal(completed[:, :, :20], np.repeat(given[:, None, :20], 2, axis=1))
    assert not np.array_equal(completed[:, 0, 20:], completed[:, 1, 20:])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sample", "MNIST"], "model: a class model draws no images"),
        (["sample", "DENSITY", "--n", "0"], "n: expected at least 1"),
        (["sample", "DENSITY", "--rows", "3"], "--complete"),
        (["sample", "DENSITY", "--temperature", "-1"], "temperature"),
        (["sample", "DENSITY", "--out", "x.gif"], "out: expected the path of a .png file"),
        (["sample", "DENSITY", "--complete", "nowhere.png"], "nowhere.png"),
        (["predict", "DENSITY", "file.npy"], "labels nothing"),
        (["predict", "MNIST"], "expected files, or --stream"),
        (["predict", "MNIST", "a.npy", "--stream"], "expected files, or --stream"),
        (["predict", "MNIST", "--stream", "--device", "cuda"], "leave out --batch_size and --device cuda"),
        (["predict", "MNIST", "--stream", "--batch_size", "2"], "leave out --batch_size and --device cuda"),
        (["evaluate", "MNIST", "--file", "a.bin"], "labels in a file of their own"),
        (["train", "scifar", "--data.folder", "CIFAR", "--data.batches", "[6]"], "batches: expected"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str],
    said: str,
    run: Path,
    density_run: Path,
    cifar: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = {"MNIST": run, "DENSITY": density_run, "CIFAR": cifar}
    assert main([str(paths.get(argument, argument)) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("multiresconv: error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
