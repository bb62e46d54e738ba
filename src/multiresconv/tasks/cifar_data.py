"""Options that select the images of CIFAR-10."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from multiresconv.data.cifar10 import CIFAR10_CLASSES, open_cifar10, open_cifar10_file, prepare_cifar10
from multiresconv.data.splits import Split
from multiresconv.tasks.image_rows import ImageRows, hold_out


@dataclass(frozen=True)
class CifarData:
    """Location of the binary files of CIFAR-10, and the split of the training images.

    Args:
        folder: folder with the files or with cifar-10-batches-bin; missing files are downloaded.
        batches: numbers of the training files to use, 1 to 5; the others can be scored with `evaluate --file`.
        val_share: share of their images that is held out for validation.
        n_train: number of the remaining images to train on; null means all.
    """

    folder: Path = Path("data/cifar10")
    batches: tuple[int, ...] = (1, 2, 3, 4, 5)
    val_share: float = 0.1
    n_train: int | None = None

    side: ClassVar[int] = 32
    classes: ClassVar[tuple[str, ...]] = CIFAR10_CLASSES
    mean: ClassVar[tuple[float, ...]] = (0.4914, 0.4822, 0.4465)  # of the training images, pixels scaled to 0 to 1
    std: ClassVar[tuple[float, ...]] = (0.2470, 0.2435, 0.2616)

    def prepare(self, *, download: bool) -> None:
        prepare_cifar10(self.folder, download=download, splits=("train",))

    def open(self, split: Split) -> ImageRows:
        if split == "test":
            return ImageRows(open_cifar10(self.folder, "test"))
        images = open_cifar10(self.folder, "train", self.batches)
        return hold_out(images, split, val_share=self.val_share, n_train=self.n_train)

    def open_file(self, path: Path) -> ImageRows:
        return ImageRows(open_cifar10_file(path))
