"""CIFAR-10: the binary files give back what was written; the archive brings only what is missing, whole."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from http_server import serve
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from paths import SHARED
from PIL import Image
from profiles import examples

from multiresconv.data import cifar10
from multiresconv.data.cifar10 import (
    CIFAR10_CLASSES,
    download_cifar10,
    open_cifar10,
    open_cifar10_file,
    prepare_cifar10,
    verify_cifar10,
)

FOLDER = "cifar-10-batches-bin"
TRAIN = [f"data_batch_{i}.bin" for i in range(1, 6)]
NAMES = [*TRAIN, "test_batch.bin"]
ARCHIVE = "cifar-10-binary.tar.gz"


def some(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], bytes]:
    """Images (n, 32, 32, 3), labels (n,), and the bytes of a file with them."""
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(0, 10, n, np.uint8)
    records = (
        bytes([label]) + b"".join(image[..., channel].tobytes() for channel in range(3))
        for image, label in zip(images, labels, strict=True)
    )
    return images, labels, b"".join(records)


def tiny() -> dict[str, bytes]:
    return {name: some(i + 1, seed=i)[2] for i, name in enumerate(NAMES)}


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{FOLDER}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def written(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(tiny()[name])
    return folder


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> bytes:
    content = packed(tiny() | {"batches.meta.txt": b"airplane\n"})
    monkeypatch.setattr(cifar10, "ARCHIVE_MD5", hashlib.md5(content).hexdigest())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return content


@given(n=st.integers(1, 9), seed=st.integers(0, 99))
@examples(30)
def test_file_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, n: int, seed: int) -> None:
    path = tmp_path_factory.mktemp("cifar") / "any.bin"
    images, labels, content = some(n, seed)
    path.write_bytes(content)
    opened = open_cifar10_file(path)
    assert opened.pixels.shape == (n, 1024, 3)
    assert opened.pixels.dtype == opened.labels.dtype == np.uint8
    row, column = seed % 32, (seed * 7) % 32
    assert opened.pixels[-1, row * 32 + column].tolist() == images[-1, row, column].tolist()
    np.testing.assert_array_equal(opened.pixels.reshape(images.shape), images)
    np.testing.assert_array_equal(opened.labels, labels)
    opened.pixels[0] = 0  # torch warns of arrays that cannot be written


@pytest.mark.parametrize("inner", [".", FOLDER])
@pytest.mark.parametrize("batches", [(1, 2, 3, 4, 5), (4,), (5, 2)])
def test_batches_are_put_together_in_the_order_asked_for(tmp_path: Path, inner: str, batches: tuple[int, ...]) -> None:
    written(tmp_path / inner, NAMES)
    opened = open_cifar10(tmp_path, "train", batches)
    wanted = [some(batch, seed=batch - 1) for batch in batches]
    np.testing.assert_array_equal(
        opened.pixels.reshape(-1, 32, 32, 3), np.concatenate([images for images, *_ in wanted])
    )
    np.testing.assert_array_equal(opened.labels, np.concatenate([labels for _, labels, _ in wanted]))
    np.testing.assert_array_equal(open_cifar10(tmp_path, "test").labels, some(6, seed=5)[1])


@pytest.mark.parametrize("batches", [(), (0,), (6,), (1, 1), (1, 2, 7)])
def test_other_batches_than_there_are(tmp_path: Path, batches: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"batches: expected some of \(1, 2, 3, 4, 5\), each once, got"):
        open_cifar10(written(tmp_path, NAMES), "train", batches)


def test_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split: expected one of train, test, got 'val'"):
        open_cifar10(tmp_path, "val")  # pyright: ignore[reportArgumentType]


def test_training_batches_alone_are_enough_to_train(tmp_path: Path) -> None:
    written(tmp_path / FOLDER, TRAIN)
    prepare_cifar10(tmp_path, splits=("train",))  # asks no mirror
    assert len(open_cifar10(tmp_path, "train")) == 15
    for ask in (lambda: open_cifar10(tmp_path, "test"), lambda: prepare_cifar10(tmp_path, download=False)):
        with pytest.raises(FileNotFoundError, match="multiresconv data cifar10") as caught:
            ask()
        assert str(caught.value).startswith(f"{tmp_path / FOLDER / 'test_batch.bin'}: no such file")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("names", [[], ["data_batch_2.bin"], NAMES[:3]])
def test_missing_batches_are_named(tmp_path: Path, names: list[str]) -> None:
    written(tmp_path / FOLDER, names)
    with pytest.raises(FileNotFoundError, match="by hand") as caught:
        open_cifar10(tmp_path, "train")
    assert [name for name in TRAIN if name in str(caught.value)] == [name for name in TRAIN if name not in names]


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda b: b[:-1], "records of 3073 bytes, got 9218 bytes"),
    "too long": (lambda b: b + b"x", "records of 3073 bytes, got 9220 bytes"),
    "empty": (lambda b: b"", "got 0 bytes"),
    "label 10": (lambda b: b[:3073] + b"\x0a" + b[3074:], "labels from 0 to 9, got 10 in record 1"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(tmp_path: Path, damage: str) -> None:
    do, message = DAMAGES[damage]
    path = written(tmp_path, NAMES) / "data_batch_3.bin"
    path.write_bytes(do(path.read_bytes()))
    uses = [lambda: open_cifar10(tmp_path, "train"), lambda: open_cifar10_file(path)]
    for use in [*uses, lambda: prepare_cifar10(tmp_path)] if damage != "label 10" else uses:
        with pytest.raises(ValueError, match=message) as caught:
            use()
        assert str(caught.value).startswith(f"{path}: damaged")
        assert "\n" not in str(caught.value)


def test_downloads_once_and_leaves_what_is_there_alone(
    tmp_path: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = some(7, seed=99)[2]
    (written(tmp_path / FOLDER, []) / TRAIN[0]).write_bytes(mine)
    with serve({ARCHIVE: archive}) as server:
        monkeypatch.setattr(cifar10, "CIFAR10_URLS", [f"{server.url}{ARCHIVE}"])
        for _ in range(2):
            prepare_cifar10(tmp_path)
    assert len(server.requests) == 1
    files = {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()}
    assert files == tiny() | {TRAIN[0]: mine}
    assert {path.name for path in tmp_path.iterdir()} == {ARCHIVE, FOLDER}
    assert capsys.readouterr().err.count("CIFAR-10") == 1


def test_archive_that_is_there_is_used(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / ARCHIVE).write_bytes(archive)
    prepare_cifar10(tmp_path, download=False)
    assert len(open_cifar10(tmp_path, "train")) == 15


def test_truncated_archive_that_is_there_is_never_unpacked(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / ARCHIVE).write_bytes(archive[:-9])
    with serve({}) as empty, pytest.raises(OSError, match=r"the file that is there is not .*404") as caught:
        download_cifar10(tmp_path, mirrors=[f"{empty.url}{ARCHIVE}"])
    assert [name for name in [ARCHIVE, *NAMES, "by hand"] if name not in str(caught.value)] == []
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVE]


def test_archive_that_lacks_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed({name: tiny()[name] for name in TRAIN})
    monkeypatch.setattr(cifar10, "ARCHIVE_MD5", hashlib.md5(content).hexdigest())
    (tmp_path / ARCHIVE).write_bytes(content)
    with pytest.raises(ValueError, match=f"expected a member {FOLDER}/test_batch.bin"):
        download_cifar10(tmp_path)
    assert not any((tmp_path / FOLDER).iterdir())


def test_hostile_archive_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed(tiny() | {"../../evil": b"evil"})
    monkeypatch.setattr(cifar10, "ARCHIVE_MD5", hashlib.md5(content).hexdigest())
    (written(tmp_path / "data", []) / ARCHIVE).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{ARCHIVE}: refused: member '{FOLDER}/../../evil'"):
        download_cifar10(tmp_path / "data")
    assert {path.name for path in tmp_path.rglob("*")} <= {"data", ARCHIVE, FOLDER}


def test_verify_tells_another_set(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data_batch_1\.bin: expected md5 5dd7e06a"):
        verify_cifar10(written(tmp_path, NAMES))


def test_verify_looks_at_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, TRAIN)
    for name in TRAIN:
        monkeypatch.setitem(cifar10.MD5, name, hashlib.md5(tiny()[name]).hexdigest())
    official = f"{tmp_path}: the five training batches of CIFAR-10 are the official ones"
    assert verify_cifar10(tmp_path) == f"{official}; there is no test_batch.bin"
    records = np.zeros((10_000, 3073), np.uint8)
    records[:, 0] = np.arange(10_000) % 10
    records.tofile(tmp_path / NAMES[5])
    assert verify_cifar10(tmp_path) == f"{official}; test_batch.bin has 1000 images of each class"
    records[0, 0] = 5
    records.tofile(tmp_path / NAMES[5])
    with pytest.raises(ValueError, match=r"test_batch\.bin: expected 1000 images of each class, got \[999, 1000"):
        verify_cifar10(tmp_path)
    for name in TRAIN:
        content = bytearray(tiny()[name])
        content[-1] ^= 1
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}: expected md5"):
            verify_cifar10(tmp_path)
        (tmp_path / name).write_bytes(tiny()[name])


@pytest.mark.skipif(not (SHARED / "unpack.py").is_file(), reason="needs the data of the project")
def test_real_batch(tmp_path: Path) -> None:
    sheets = [Image.open(SHARED / "cifar10" / f"data_batch_1.part{part}.webp").convert("RGB") for part in range(5)]
    # sheets of 100 rows of 20 images
    tiles = np.concatenate([np.asarray(sheet).reshape(100, 32, 20, 32, 3).swapaxes(1, 2) for sheet in sheets])
    images = tiles.reshape(10_000, 1024, 3)
    labels = np.fromfile(SHARED / "cifar10" / "labels.u8", np.uint8)[:10_000]
    path = tmp_path / TRAIN[0]
    np.hstack([labels[:, None], images.swapaxes(1, 2).reshape(10_000, 3072)]).tofile(path)
    assert hashlib.md5(path.read_bytes()).hexdigest() == cifar10.MD5[TRAIN[0]]
    opened = open_cifar10(tmp_path, "train", [1])
    np.testing.assert_array_equal(opened.pixels, images)
    assert [CIFAR10_CLASSES[label] for label in opened.labels[:4]] == ["frog", "truck", "truck", "deer"]
