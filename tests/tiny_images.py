"""Small files in the formats of MNIST and CIFAR-10, for tests that train on them."""

from pathlib import Path

import numpy as np


def write_idx(path: Path, values: np.ndarray) -> None:
    header = np.array([0x0800 + values.ndim, *values.shape], ">u4").tobytes()
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def write_mnist(folder: Path, n_train: int = 40, n_test: int = 12) -> Path:
    """Images whose upper part is the brighter, the larger the digit."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for prefix, n in (("train", n_train), ("t10k", n_test)):
        labels = np.arange(n) % 10
        images = random.integers(0, 30, (n, 28, 28))
        images[:, :14] += 20 * labels[:, None, None]
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
    return folder


def cifar_records(n: int, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    images = random.integers(0, 30, (n, 3, 1024))
    images[:, 1] += 20 * labels[:, None]
    return np.concatenate([labels[:, None], images.reshape(n, -1)], axis=1).astype(np.uint8).tobytes()


def write_cifar(folder: Path, n: int = 16, *, test: bool = True) -> Path:
    bins = folder / "cifar-10-batches-bin"
    bins.mkdir(parents=True, exist_ok=True)
    for batch in range(1, 6):
        (bins / f"data_batch_{batch}.bin").write_bytes(cifar_records(n, batch))
    if test:
        (bins / "test_batch.bin").write_bytes(cifar_records(n, 6))
    return folder
