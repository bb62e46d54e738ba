"""`multiresconv data NAME`."""

from pathlib import Path
from typing import Any

from multiresconv.data.cifar10 import prepare_cifar10, verify_cifar10
from multiresconv.data.listops import SPLITS, split_path, verify_listops
from multiresconv.data.mnist import prepare_mnist, verify_mnist
from multiresconv.data.ptbxl import prepare_ptbxl, verify_ptbxl
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


def data_mnist(folder: Path = Path("data/mnist"), verify: bool = False) -> int:
    """Download the four files of MNIST, or verify those that are there.

    Args:
        folder: of the files.
        verify: download nothing, compare checksums.
    """
    if not verify:
        prepare_mnist(folder)
    print(verify_mnist(folder))
    return 0


def data_cifar10(folder: Path = Path("data/cifar10"), verify: bool = False) -> int:
    """Download CIFAR-10, the binary version, or verify what is there.

    Args:
        folder: of the files.
        verify: download nothing, compare checksums.
    """
    if not verify:
        prepare_cifar10(folder)
    print(verify_cifar10(folder))
    return 0


def data_ptbxl(folder: Path = Path("data/ptbxl"), verify: bool = False) -> int:
    """Download the tables and the 100 Hz records of PTB-XL 1.0.3, or verify what is there.

    Args:
        folder: of the files.
        verify: download nothing, compare checksums.
    """
    if not verify:
        prepare_ptbxl(folder)
    print(verify_ptbxl(folder))
    return 0
