"""Options that select the images of MNIST."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from multiresconv.data.mnist import open_mnist, prepare_mnist
from multiresconv.data.splits import Split
from multiresconv.tasks.image_rows import ImageRows, hold_out


@dataclass(frozen=True)
class MnistData:
    """Location of the four files of MNIST, and the split of the 60,000 training images.

    Args:
        folder: folder with the files; missing files are downloaded.
        val_share: share of the training images that is held out for validation.
        n_train: number of the remaining images to train on; null means all.
    """

    folder: Path = Path("data/mnist")
    val_share: float = 0.1
    n_train: int | None = None

    side: ClassVar[int] = 28
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    mean: ClassVar[tuple[float, ...]] = (0.1307,)  # of the training images, pixels scaled to 0 to 1
    std: ClassVar[tuple[float, ...]] = (0.3081,)

    def prepare(self, *, download: bool) -> None:
        prepare_mnist(self.folder, download=download)

    def open(self, split: Split) -> ImageRows:
        if split == "test":
            return ImageRows(open_mnist(self.folder, "test"))
        return hold_out(open_mnist(self.folder, "train"), split, val_share=self.val_share, n_train=self.n_train)

    def open_file(self, path: Path) -> ImageRows:
        raise ValueError(f"file: {path}: MNIST has its labels in a file of their own; name --split val or test")
