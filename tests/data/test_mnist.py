"""MNIST: the idx files give back what was written, and each kind of damage is named."""

import gzip
import hashlib
import struct
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from http_server import serve
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from paths import SHARED
from profiles import examples

from multiresconv.data import mnist
from multiresconv.data.mnist import download_mnist, open_mnist, prepare_mnist, verify_mnist

FOLDER = SHARED / "mnist"
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(values: NDArray[np.uint8]) -> bytes:
    """The format, as the data set's page describes it."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def some(n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n, np.uint8)


def tiny() -> dict[str, bytes]:
    """The four files of a set of 5 and 3 images."""
    return dict(zip(NAMES, (idx(values) for n in (5, 3) for values in some(n, seed=n)), strict=True))


def written(folder: Path) -> Path:
    for name, content in tiny().items():
        (folder / name).write_bytes(content)
    return folder


@given(n=st.integers(1, 20), seed=st.integers(0, 99), split=st.sampled_from(["train", "test"]), dot=st.booleans())
@examples(30)
def test_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, n: int, seed: int, split: Literal["train", "test"], dot: bool
) -> None:
    folder = tmp_path_factory.mktemp("mnist")
    images, labels = some(n, seed)
    for name, values in zip(NAMES[:2] if split == "train" else NAMES[2:], (images, labels), strict=True):
        name = name.replace("-idx", ".idx") if dot else name
        if values is images:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(values), 1))
        else:
            (folder / name).write_bytes(idx(values))
    opened = open_mnist(folder, split)
    assert opened.pixels.shape == (n, 784, 1)
    assert opened.pixels.dtype == opened.labels.dtype == np.uint8
    assert len(opened) == n
    assert opened.side == 28
    row, column = seed % 28, (seed * 7) % 28
    assert opened.pixels[-1, row * 28 + column, 0] == images[-1, row, column]
    np.testing.assert_array_equal(opened.pixels.reshape(images.shape), images)
    np.testing.assert_array_equal(opened.labels, labels)
    opened.pixels[0] = 0  # torch warns of arrays that cannot be written


Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, tuple[str, Damage, str]] = {
    "truncated": (NAMES[0], lambda b: b[:-1], "truncated: expected 3920 more bytes, got 3919"),
    "only a header": (NAMES[0], lambda b: b[:16], "truncated: expected 3920"),
    "half a header": (NAMES[0], lambda b: b[:9], "truncated: expected 12 more bytes, got 5"),
    "empty": (NAMES[1], lambda b: b"", "truncated: expected 4 more bytes, got 0"),
    "too long": (NAMES[0], lambda b: b + b"x", "expected 3920 bytes after its header, got more"),
    "labels for images": (NAMES[0], lambda b: tiny()[NAMES[1]], "magic number 2051, got 2049"),
    "images for labels": (NAMES[1], lambda b: tiny()[NAMES[0]], "magic number 2049, got 2051"),
    "html": (NAMES[0], lambda b: b"<html>" * 100, "magic number 2051"),
    "compressed, but no name says so": (NAMES[0], gzip.compress, "magic number 2051"),
    "other sizes": (NAMES[0], lambda b: idx(np.zeros((5, 27, 28), np.uint8)), "n >= 1 x 28 x 28, got 5 x 27 x 28"),
    "nothing in it": (NAMES[0], lambda b: idx(np.zeros((0, 28, 28), np.uint8)), "got 0 x 28 x 28"),
    "label 10": (NAMES[1], lambda b: b[:-1] + b"\x0a", "labels from 0 to 9, got 10"),
    "a label less": (NAMES[1], lambda b: idx(np.zeros(4, np.uint8)), "each of the 5 images"),
    "a size beyond all memory": (NAMES[0], lambda b: b[:4] + b"\xff" * 4 + b[8:], "truncated"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("use", [lambda folder: open_mnist(folder, "train"), prepare_mnist])
def test_damage_is_named(tmp_path: Path, damage: str, use: Callable[[Path], object]) -> None:
    name, do, message = DAMAGES[damage]
    path = written(tmp_path) / name
    path.write_bytes(do(path.read_bytes()))
    tracemalloc.start()
    with pytest.raises(ValueError, match=message) as caught:
        use(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_damaged_gzip_is_named_wherever_it_is_cut(tmp_path: Path) -> None:
    written(tmp_path)
    packed = gzip.compress((tmp_path / NAMES[0]).read_bytes())
    (tmp_path / NAMES[0]).unlink()
    path = tmp_path / f"{NAMES[0]}.gz"
    for content in (*(packed[:size] for size in range(0, len(packed), 97)), packed[:-1], b"<html>", packed + b"x"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"damaged|truncated") as caught:
            open_mnist(tmp_path, "train")
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", NAMES)
def test_missing_file_is_named_with_the_way_out(tmp_path: Path, name: str) -> None:
    (written(tmp_path) / name).unlink()
    with pytest.raises(FileNotFoundError, match="multiresconv data mnist") as caught:
        prepare_mnist(tmp_path, download=False)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split: expected one of train, test, got 'val'"):
        open_mnist(tmp_path, "val")  # pyright: ignore[reportArgumentType]


def test_downloads_what_is_missing_from_the_mirror_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {f"{name}.gz": gzip.compress(content) for name, content in tiny().items()}
    for name in NAMES:
        monkeypatch.setitem(mnist.MD5_COMPRESSED, name, hashlib.md5(files[f"{name}.gz"]).hexdigest())
    wrong = {name: content for name, content in files.items() if "labels" in name} | {f"{NAMES[2]}.gz": b"wrong"}
    (tmp_path / NAMES[3].replace("-idx", ".idx")).write_bytes(tiny()[NAMES[3]])  # found, and left alone
    with serve(wrong) as first, serve(files) as second:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(mnist, "download_mnist", partial(download_mnist, mirrors=[first.url, second.url]))
        for _ in range(2):
            prepare_mnist(tmp_path)
    # What is wrong is asked for again, in case only the length that the mirror stated was.
    assert [path for path, _ in first.requests] == [f"{name}.gz" for name in (*NAMES[:3], NAMES[2])]
    assert [path for path, _ in second.requests] == [f"{NAMES[0]}.gz", f"{NAMES[2]}.gz"]
    assert {path.name for path in tmp_path.iterdir()} == {*list(files)[:3], NAMES[3].replace("-idx", ".idx")}
    assert [len(open_mnist(tmp_path, split)) for split in ("train", "test")] == [5, 3]
    assert capsys.readouterr().err.count("downloading MNIST") == 1


def test_failed_download_says_what_to_do_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / NAMES[0]).write_bytes(tiny()[NAMES[0]])
    with serve({}) as empty, pytest.raises(OSError, match="404") as caught:
        download_mnist(tmp_path, mirrors=[empty.url])
    message = str(caught.value)
    assert empty.url in message
    assert "by hand" in message
    assert [f"{name}.gz" in message for name in NAMES] == [False, True, True, True]
    assert "\n" not in message


def test_verify_tells_another_set(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte: expected content with md5 6bbc9ace"):
        verify_mnist(written(tmp_path))


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the data of the project")
class TestRealFiles:
    def test_are_the_official_ones(self) -> None:
        assert verify_mnist(FOLDER) == f"{FOLDER}: the four files of MNIST are the official ones"

    def test_known_facts(self) -> None:
        train, test = open_mnist(FOLDER, "train"), open_mnist(FOLDER, "test")
        assert (len(train), len(test)) == (60_000, 10_000)
        assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
        assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert round(train.pixels.mean() / 255, 4) == 0.1307

    def test_one_changed_pixel_is_found(self, tmp_path: Path) -> None:
        for name in NAMES:
            content = bytearray(gzip.decompress((FOLDER / f"{name}.gz").read_bytes()))
            content[-1] ^= name == NAMES[2]
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=NAMES[2]):
            verify_mnist(tmp_path)
