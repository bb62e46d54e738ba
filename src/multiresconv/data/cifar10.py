"""CIFAR-10: 32 x 32 colour images of ten classes, from the official archive of binary files (Krizhevsky 2009)."""

import os
import sys
from collections.abc import Collection, Sequence
from hashlib import md5
from itertools import accumulate
from pathlib import Path

import numpy as np

from multiresconv.data.archive import unpacked
from multiresconv.data.download import fetch
from multiresconv.data.images import Images
from multiresconv.data.splits import PUBLISHED_SPLITS, PublishedSplit, check_split

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_URLS = ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",)
_ARCHIVE = "cifar-10-binary.tar.gz"
ARCHIVE_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
_MAX_UNPACKED = 200_000_000
_FOLDER = "cifar-10-batches-bin"
_BATCHES = (1, 2, 3, 4, 5)
_SPLITS: dict[PublishedSplit, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{batch}.bin" for batch in _BATCHES),
    "test": ("test_batch.bin",),
}
_NAMES = (*_SPLITS["train"], *_SPLITS["test"])
MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
}
_SIDE, _CHANNELS = 32, 3
_PIXELS = _SIDE**2
_RECORD = 1 + _CHANNELS * _PIXELS  # the label, then the planes of red, green and blue
_MAX_BYTES = 200 << 20  # of the archive to download, which has 170 MB
_AGAIN = "delete it and run `multiresconv data cifar10` again"


def open_cifar10(folder: str | Path, split: PublishedSplit, batches: Sequence[int] = _BATCHES) -> Images:
    """Read the images of a split in file order: pixels (n, 1024, 3), labels 0 to 9, see `CIFAR10_CLASSES`.

    Args:
        folder: holds the files `data_batch_1.bin` ... `test_batch.bin`, or a folder `cifar-10-batches-bin` with them.
        split: "train" (10,000 images per batch) or "test" (10,000 images).
        batches: which of the five training batches to read; ignored for "test".

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged.
    """
    check_split(split, PUBLISHED_SPLITS)
    if not batches or not set(batches) <= set(_BATCHES) or len(set(batches)) < len(batches):
        raise ValueError(f"batches: expected some of {_BATCHES}, each once, got {tuple(batches)}")
    names = _SPLITS["test"] if split == "test" else [f"data_batch_{batch}.bin" for batch in batches]
    return _read(_existing_paths(folder, names))


def open_cifar10_file(path: str | Path) -> Images:
    """Read all images of one file in the binary format: pixels (n, 1024, 3), labels 0 to 9.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged.
    """
    return _read([Path(path)])


def download_cifar10(folder: str | Path, *, mirrors: Sequence[str] = CIFAR10_URLS) -> None:
    """Extract the missing files of both splits from the official archive.

    The archive is downloaded to the folder, unless it is there already, and is kept. A file gets its name only when it
    is complete.

    Args:
        folder: see `open_cifar10`; created if it does not exist.
        mirrors: URLs of the archive, tried in this order.

    Raises:
        ValueError: the archive lacks a file.
        OSError: no mirror served the archive, or a file cannot be written.
    """
    folder = Path(folder)
    target = _bin_folder(folder)
    missing = _missing(folder, _NAMES)
    if not missing:
        return
    by_hand = f"put {_ARCHIVE} into {folder}, or {', '.join(missing)} into {target}, by hand"
    archive = fetch(folder / _ARCHIVE, mirrors, f"md5:{ARCHIVE_MD5}", max_bytes=_MAX_BYTES, by_hand=by_hand)
    target.mkdir(exist_ok=True)
    with unpacked(archive, folder, max_bytes=_MAX_UNPACKED) as content:
        for name in missing:
            if not (content / _FOLDER / name).is_file():
                raise ValueError(f"{archive}: expected a member {_FOLDER}/{name}, got none; {_AGAIN}")
        for name in missing:
            os.replace(content / _FOLDER / name, target / name)


def prepare_cifar10(
    folder: str | Path, *, download: bool = True, splits: Collection[PublishedSplit] = ("train", "test")
) -> None:
    """Make sure that the folder has the complete files of the splits.

    Missing files are extracted from the archive, which is downloaded first if it is missing and `download` is True.

    Raises:
        FileNotFoundError: a file is missing, and `download` is False.
        ValueError: a file is damaged.
        OSError: the download failed.
    """
    names = [name for split in splits for name in _SPLITS[split]]
    archive = Path(folder) / _ARCHIVE
    if _missing(folder, names) and (download or archive.is_file()):
        print(f"{folder}: {'unpacking' if archive.is_file() else 'downloading'} CIFAR-10, 170 MB", file=sys.stderr)
        download_cifar10(folder, mirrors=CIFAR10_URLS if download else ())
    for path in _existing_paths(folder, names):
        _count(path)


def verify_cifar10(folder: str | Path) -> str:
    """Check the training batches by md5 and the test batch by its content.

    Returns:
        One line that says which files are right.

    Raises:
        FileNotFoundError: a training batch is missing.
        ValueError: a file is damaged or not the official one; the message names the first.
    """
    for name, path in zip(_SPLITS["train"], _existing_paths(folder, _SPLITS["train"]), strict=True):
        with open(path, "rb") as file:
            digest = md5(usedforsecurity=False)
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        if digest.hexdigest() != MD5[name]:
            raise ValueError(f"{path}: expected md5 {MD5[name]}, got {digest.hexdigest()}; {_AGAIN}")
    official = f"{folder}: the five training batches of CIFAR-10 are the official ones"
    if _missing(folder, _SPLITS["test"]):
        return f"{official}; there is no test_batch.bin"
    test = open_cifar10(folder, "test")
    counts = np.bincount(test.labels, minlength=len(CIFAR10_CLASSES)).tolist()
    if set(counts) != {1000}:
        (path,) = _existing_paths(folder, _SPLITS["test"])
        raise ValueError(f"{path}: expected 1000 images of each class, got {counts}; {_AGAIN}")
    return f"{official}; test_batch.bin has 1000 images of each class"


def _bin_folder(folder: str | Path) -> Path:
    """Return the folder for the .bin files: `folder` itself if it has any of them, else its official subfolder."""
    official = Path(folder) / _FOLDER
    for candidate in (official, Path(folder)):
        if any((candidate / name).is_file() for name in _NAMES):
            return candidate
    return official


def _missing(folder: str | Path, names: Sequence[str]) -> list[str]:
    return [name for name in names if not (_bin_folder(folder) / name).is_file()]


def _existing_paths(folder: str | Path, names: Sequence[str]) -> list[Path]:
    """Return the paths of these files; raise FileNotFoundError if one is missing."""
    target = _bin_folder(folder)
    if missing := _missing(folder, names):
        raise FileNotFoundError(
            f"{target / missing[0]}: no such file; run `multiresconv data cifar10`, or put it there by hand, "
            f"out of {_ARCHIVE}" + (f", together with {', '.join(missing[1:])}" if missing[1:] else "")
        )
    return [target / name for name in names]


def _read(paths: Sequence[Path]) -> Images:
    counts = [_count(path) for path in paths]
    pixels = np.empty((sum(counts), _PIXELS, _CHANNELS), np.uint8)
    labels = np.empty(sum(counts), np.uint8)
    for path, count, end in zip(paths, counts, accumulate(counts), strict=True):
        records = np.fromfile(path, np.uint8).reshape(count, _RECORD)
        if records[:, 0].max() > 9:
            seen, where = records[:, 0].max(), records[:, 0].argmax()
            raise ValueError(f"{path}: damaged: expected labels from 0 to 9, got {seen} in record {where}; {_AGAIN}")
        labels[end - count : end] = records[:, 0]
        for channel in range(_CHANNELS):
            plane = 1 + channel * _PIXELS
            pixels[end - count : end, :, channel] = records[:, plane : plane + _PIXELS]
    return Images(pixels, labels, _SIDE)


def _count(path: Path) -> int:
    """Return the number of records in a file, computed from its size."""
    size = path.stat().st_size
    if not size or size % _RECORD:
        raise ValueError(
            f"{path}: damaged: expected one or more records of {_RECORD} bytes, got {size} bytes; {_AGAIN}"
        )
    return size // _RECORD
