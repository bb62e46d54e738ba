"""Images as rows of a data set, with a part held out for validation."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.data.images import Images
from multiresconv.data.splits import Split, fingerprint
from multiresconv.models import Input


class ImageBatch(NamedTuple):
    pixels: Tensor  # (B, L, C) uint8
    labels: Tensor  # (B,) int64


class ImageRows:
    """The images with the indices `chosen` (rows,), in that order; None means all images."""

    def __init__(self, images: Images, chosen: NDArray[np.int64] | None = None) -> None:
        self.images = images
        self.chosen = np.arange(len(images)) if chosen is None else chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, row: int) -> tuple[NDArray[np.uint8], int]:
        """Return the pixels (L, C) and the label of a row."""
        index = self.chosen[row]
        return self.images.pixels[index], int(self.images.labels[index])

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.full(len(self), self.images.pixels.shape[1])

    def checksum(self) -> str:
        """Return the CRC-32 of the pixels and labels of the rows, in order."""
        pixels = zlib.crc32(np.ascontiguousarray(self.images.pixels[self.chosen]).data)
        return f"{zlib.crc32(self.images.labels[self.chosen].tobytes(), pixels):08x}"


class ImageData(Protocol):
    """Command-line options that select labelled images of one size."""

    side: ClassVar[int]
    classes: ClassVar[tuple[str, ...]]
    mean: ClassVar[tuple[float, ...]]  # of each channel, like `std`, pixels scaled to 0 to 1
    std: ClassVar[tuple[float, ...]]

    def prepare(self, *, download: bool) -> None: ...

    def open(self, split: Split) -> ImageRows: ...

    def open_file(self, path: Path) -> ImageRows: ...


class ImageTask:
    """The part of `Task` shared by all image tasks: the data."""

    data: ImageData

    def prepare(self, *, may_generate: bool = True) -> None:
        self.data.prepare(download=may_generate)

    def decided(self) -> dict[str, Any]:
        return {}

    def fingerprint(self) -> dict[str, Any]:
        return fingerprint(self.data.open)

    def open(self, split: Split) -> ImageRows:
        return self.data.open(split)

    def open_file(self, path: Path) -> ImageRows:
        return self.data.open_file(path)

    def collate(self, items: Sequence[tuple[NDArray[np.uint8], int]]) -> ImageBatch:
        pixels, labels = zip(*items, strict=True)
        return ImageBatch(torch.from_numpy(np.stack(pixels)), torch.tensor(labels, device="cpu"))


def image_input(data: ImageData, order: NDArray[np.int64] | None = None) -> Input:
    """Describe the input of a model that reads these images pixel by pixel."""
    channels = ("grey",) if len(data.mean) == 1 else ("red", "green", "blue")
    return Input("image", channels, side=data.side, order=None if order is None else tuple(order.tolist()))


def hold_out(images: Images, split: str, *, val_share: float, n_train: int | None) -> ImageRows:
    """Return the "train" or "val" rows of the training images, by a fixed permutation.

    Raises:
        ValueError: `val_share` leaves "train" or "val" empty, or "train" has fewer than `n_train` rows.
    """
    n_val = round(val_share * len(images)) if 0 < val_share < 1 else 0
    if not 0 < n_val < len(images):
        raise ValueError(f"data.val_share: expected a share that leaves both training and validation, got {val_share}")
    rows = np.random.default_rng(0).permutation(len(images))
    val, train = rows[:n_val], rows[n_val:]
    if n_train is not None and not 1 <= n_train <= len(train):
        raise ValueError(f"data.n_train: expected 1 to {len(train)}, got {n_train}")
    return ImageRows(images, val if split == "val" else train[:n_train])
