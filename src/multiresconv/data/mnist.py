"""MNIST: handwritten digits of 28 x 28 grey pixels, in four idx files (LeCun, Cortes and Burges)."""

import gzip
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import md5
from io import BufferedIOBase
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.download import fetch
from multiresconv.data.images import Images
from multiresconv.data.splits import PUBLISHED_SPLITS, PublishedSplit, check_split

MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_SIDE = 28
_SPLITS: dict[PublishedSplit, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_NAMES = tuple(name for names in _SPLITS.values() for name in names)
MD5_COMPRESSED = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
_MD5 = {  # of the uncompressed idx files, since some copies were compressed again
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_MAX_BYTES = 20 << 20  # of a file to download; the largest has 10 MB
_AGAIN = "delete it and run `multiresconv data mnist` again"


def open_mnist(folder: str | Path, split: PublishedSplit) -> Images:
    """Read the images of a split in file order: pixels (n, 784, 1), labels 0 to 9; n = 60,000 (train), 10,000 (test).

    Args:
        folder: holds the idx files, each plain or compressed (`.gz`). Their names are the official ones,
            `train-images-idx3-ubyte` and so on; in some copies a dot replaces the second hyphen, which works too.
        split: "train" or "test".

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged, or the two files of the split have different numbers of rows.
    """
    check_split(split, PUBLISHED_SPLITS)
    images_path, labels_path = (_find(folder, name) for name in _SPLITS[split])
    pixels = _read_idx(images_path, (_SIDE, _SIDE))
    labels = _read_idx(labels_path, ())
    if len(pixels) != len(labels):
        raise ValueError(
            f"{labels_path}: expected a label for each of the {len(pixels)} images of {images_path.name}, "
            f"got {len(labels)}; put both files of one set here"
        )
    if labels.max() > 9:
        raise ValueError(f"{labels_path}: damaged: expected labels from 0 to 9, got {labels.max()}; {_AGAIN}")
    return Images(pixels.reshape(-1, _SIDE * _SIDE, 1), labels, _SIDE)


def download_mnist(folder: str | Path, *, mirrors: Sequence[str] = MNIST_MIRRORS) -> None:
    """Download the missing ones of the four files, compressed, and check each before it gets its name.

    Args:
        folder: destination; created if it does not exist.
        mirrors: URLs of folders with the files, tried in this order.

    Raises:
        OSError: no mirror served a file, or a file cannot be written.
    """
    missing = _missing(folder)
    for name in missing:
        file = Path(folder) / f"{name}.gz"
        by_hand = f"put {', '.join(f'{name}.gz' for name in missing)} into {folder} by hand"
        urls = [mirror + file.name for mirror in mirrors]
        fetch(file, urls, f"md5:{MD5_COMPRESSED[name]}", max_bytes=_MAX_BYTES, by_hand=by_hand)


def prepare_mnist(folder: str | Path, *, download: bool = True) -> None:
    """Make sure that the folder has all files, complete; missing files are downloaded if `download` is True.

    Raises:
        FileNotFoundError: a file is missing, and `download` is False.
        ValueError: a file is damaged.
        OSError: the download failed.
    """
    if download and _missing(folder):
        print(f"{folder}: downloading MNIST, 11 MB", file=sys.stderr)
        download_mnist(folder)
    for split in PUBLISHED_SPLITS:
        open_mnist(folder, split)


def verify_mnist(folder: str | Path) -> str:
    """Check that the content of all four files, compressed or not, is the official one.

    Returns:
        One line that says so.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged or not the official one; the message names the first.
    """
    for name in _NAMES:
        path, digest = _find(folder, name), md5(usedforsecurity=False)
        with _open_idx(path) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        if digest.hexdigest() != _MD5[name]:
            raise ValueError(f"{path}: expected content with md5 {_MD5[name]}, got {digest.hexdigest()}; {_AGAIN}")
    return f"{folder}: the four files of MNIST are the official ones"


def _missing(folder: str | Path) -> list[str]:
    return [name for name in _NAMES if not any(path.is_file() for path in _variants(folder, name))]


def _find(folder: str | Path, name: str) -> Path:
    for path in _variants(folder, name):
        if path.is_file():
            return path
    path = Path(folder) / name
    raise FileNotFoundError(
        f"{path}: no such file, nor {name}.gz; run `multiresconv data mnist`, or put the file there by hand"
    )


def _variants(folder: str | Path, name: str) -> list[Path]:
    """Return the paths where the file with this official name may be."""
    dotted = name.replace("-idx", ".idx")
    return [Path(folder) / variant for variant in (name, dotted, f"{name}.gz", f"{dotted}.gz")]


def _read_idx(path: Path, item: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read the (n, *item) bytes of an idx file, n >= 1. The format: magic number, sizes (both big-endian), bytes."""
    magic = 0x0800 + 1 + len(item)  # unsigned bytes, number of dimensions
    with _open_idx(path) as file:
        (number,) = np.frombuffer(_read(file, 4, path), ">u4")
        if number != magic:
            raise ValueError(f"{path}: damaged: expected an idx file, magic number {magic}, got {number}; {_AGAIN}")
        count, *seen = np.frombuffer(_read(file, 4 + 4 * len(item), path), ">u4").tolist()
        if tuple(seen) != item or not count:
            wanted, got = (" x ".join(map(str, sizes)) for sizes in (("n >= 1", *item), (count, *seen)))
            raise ValueError(f"{path}: damaged: expected sizes {wanted}, got {got}; {_AGAIN}")
        values = _read(file, count * prod(item), path)
        if file.read(1):
            raise ValueError(f"{path}: damaged: expected {len(values)} bytes after its header, got more; {_AGAIN}")
    return np.frombuffer(values, np.uint8).reshape(count, *item)


@contextmanager
def _open_idx(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file for reading; a .gz file is decompressed."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged: expected a whole gzip file, got: {error}; {_AGAIN}") from error


def _read(file: BufferedIOBase, size: int, path: Path) -> bytearray:
    """Read `size` bytes in pieces, since a damaged header may claim any size and `read` would allocate it at once."""
    values = bytearray()
    while chunk := file.read(min(size - len(values), 1 << 20)):
        values += chunk
    if len(values) != size:
        raise ValueError(f"{path}: truncated: expected {size} more bytes, got {len(values)}; {_AGAIN}")
    return values
