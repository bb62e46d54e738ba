"""`multiresconv data NAME`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from multiresconv.data.cifar10 import prepare_cifar10, verify_cifar10
from multiresconv.data.listops import cut_listops, split_path, verify_listops
from multiresconv.data.mnist import prepare_mnist, verify_mnist
from multiresconv.data.ptbxl import prepare_ptbxl, verify_ptbxl
from multiresconv.data.splits import SPLITS
from multiresconv.tasks.listops import ListOpsData, generate


def data_listops(verify: bool, overwrite: bool, **options: Any) -> int:
    """Generate ListOps, by default with the settings of the Long Range Arena, or verify existing files.

    Args:
        verify: generate nothing; evaluate every expression and compare its label.
        overwrite: replace existing files.
        **options: the fields of `ListOpsData`.
    """
    data = ListOpsData(**options)
    files = [split_path(data.folder, split) for split in SPLITS]
    if verify:
        rows = verify_listops(data.folder)
        print(f"{data.folder}: all labels of {rows} rows are right")
    elif all(file.is_file() for file in files) and not overwrite:
        print(f"{data.folder}: ListOps is there already; --verify checks its labels, --overwrite generates it again")
    else:
        generate(data, overwrite=overwrite)
        print(f"{data.folder}: {', '.join(file.name for file in files)}")
    return 0


def data_listops_parts(
    folder: Path,
    min_length: int,
    max_length: int,
    source: Path = Path("data/listops"),
    n_train: int | None = None,
    n_val: int | None = 2_000,
    seed: int = 0,
) -> int:
    """Cut the sub-expressions out of the training and validation rows of ListOps.

    Args:
        folder: folder for the sub-expressions.
        min_length: every sub-expression is longer than this; an operator counts 2, a digit 1.
        max_length: every sub-expression is shorter than this.
        source: folder of ListOps.
        n_train: largest number of sub-expressions to draw from the training rows; null for all.
        n_val: largest number of sub-expressions to draw from the validation rows; null for all.
        seed: seed of the draws.
    """
    limits = {"min_length": min_length, "max_length": max_length, "n_train": n_train, "n_val": n_val, "seed": seed}
    counts = cut_listops(source, folder, **limits)
    print(f"{folder}: {counts['train']} training and {counts['val']} validation rows")
    return 0


class Downloaded(NamedTuple):
    """A data set to download: its description for the help, and the functions that prepare and verify it."""

    about: str
    prepare: Callable[[Path], None]
    verify: Callable[[Path], str]


DOWNLOADED = {
    "mnist": Downloaded("the four files of MNIST", prepare_mnist, verify_mnist),
    "cifar10": Downloaded("CIFAR-10, the binary version", prepare_cifar10, verify_cifar10),
    "ptbxl": Downloaded("the tables and the 100 Hz records of PTB-XL 1.0.3", prepare_ptbxl, verify_ptbxl),
}


def data_downloaded(name: str, folder: Path, verify: bool = False) -> int:
    """Download a data set if it is missing, and verify it.

    Args:
        name: name of the data set.
        folder: folder of the files.
        verify: download nothing; compare checksums.
    """
    data = DOWNLOADED[name]
    if not verify:
        data.prepare(folder)
    print(data.verify(folder))
    return 0
