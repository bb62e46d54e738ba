"""`multiresconv data NAME`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from multiresconv.data.cifar10 import prepare_cifar10, verify_cifar10
from multiresconv.data.listops import split_path, verify_listops
from multiresconv.data.mnist import prepare_mnist, verify_mnist
from multiresconv.data.ptbxl import prepare_ptbxl, verify_ptbxl
from multiresconv.data.splits import SPLITS
from multiresconv.tasks.listops import ListOpsData, generate


def data_listops(verify: bool, overwrite: bool, **options: Any) -> int:
    """Generate ListOps, as in the Long Range Arena unless told otherwise, or verify what is there.

    Args:
        verify: generate nothing, evaluate every expression and compare the label.
        overwrite: replace files that are there.
        **options: the fields of `ListOpsData`.
    """
    data = ListOpsData(**options)
    files = [split_path(data.folder, split) for split in SPLITS]
    if verify:
        rows = verify_listops(data.folder)
        print(f"{data.folder}: all labels of {rows} rows are right")
    elif all(file.is_file() for file in files) and not overwrite:
        print(f"{data.folder}: ListOps is there already; --verify checks its labels, --overwrite makes it anew")
    else:
        generate(data, overwrite=overwrite)
        print(f"{data.folder}: {', '.join(file.name for file in files)}")
    return 0


class Downloaded(NamedTuple):
    """A data set that is downloaded: what it is, and what makes it be there and checks it."""

    about: str
    prepare: Callable[[Path], None]
    verify: Callable[[Path], str]


DOWNLOADED = {
    "mnist": Downloaded("the four files of MNIST", prepare_mnist, verify_mnist),
    "cifar10": Downloaded("CIFAR-10, the binary version", prepare_cifar10, verify_cifar10),
    "ptbxl": Downloaded("the tables and the 100 Hz records of PTB-XL 1.0.3", prepare_ptbxl, verify_ptbxl),
}


def data_downloaded(name: str, folder: Path, verify: bool = False) -> int:
    """Download a data set, unless it is there, and verify it.

    Args:
        name: of the data set.
        folder: of the files.
        verify: download nothing, compare checksums.
    """
    data = DOWNLOADED[name]
    if not verify:
        data.prepare(folder)
    print(data.verify(folder))
    return 0
