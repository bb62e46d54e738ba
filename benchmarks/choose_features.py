"""Score settings of the untrained features on the development sets, on which defaults are chosen.

    python benchmarks/development_sets.py FOLDER        (its docstring says what it needs)
    python benchmarks/choose_features.py FOLDER [--seeds 3] [--settings NAME ...] [--processes 1]
        [--out benchmarks/results]

Each seed draws a split of each set, stratified, or by group where a set has groups, and the filters. At most 300 test
rows are scored. A rank is that of a setting among all on one set, by its mean accuracy there; 1 is best. Seconds are
processor time of fit and predict, of all sets and seeds, on one thread. The accuracy on each set is in the JSON file.

A setting becomes the default only if its gain is above two standard errors.
"""

import argparse
import functools
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit

from multiresconv.bench.machine import describe_machine
from multiresconv.ops import default_depth
from multiresconv.ops.shares import STATISTICS, Bank, quantile_thresholds, shares
from multiresconv.tasks.leave_one_out import fit_ridge
from multiresconv.tasks.ridge import ALPHAS

FIRST_SEED, MOST_TESTED = 10, 300


class Setting(NamedTuple):
    """How features are drawn; the defaults are those of `SequenceFeatures` at the time of the study.

    Attributes:
        n_filters, kernel_size, n_thresholds: see `SequenceFeatures`.
        n_samples: sequences whose coefficients give the thresholds of a filter.
        reach: share of the longest sequence that the filters reach back.
        low_pass: taps of h0, "normal", "positive" or "half delta": of every second filter the newest tap dominates.
        weights: of the channels that a filter mixes, "normal" or "signs".
        most_mixed: largest number of channels that a filter mixes.
        statistics: which of the counts are features.
        differences: half of the filters see the differences of neighbouring samples.
    """

    n_filters: int = 96
    kernel_size: int = 6
    n_thresholds: int = 4
    n_samples: int = 2
    reach: float = 0.5
    low_pass: str = "normal"
    weights: str = "normal"
    most_mixed: int = 9
    statistics: tuple[str, ...] = STATISTICS
    differences: bool = False


SETTINGS = {
    "96 filters, 6 taps, 4 thresholds": Setting(),
    "signs": Setting(weights="signs"),
    "signs, 144 filters, 3 thresholds": Setting(144, n_thresholds=3, weights="signs"),
    "signs, 192 filters": Setting(192, weights="signs"),
    "4 taps": Setting(kernel_size=4),
    "9 taps": Setting(kernel_size=9),
    "48 filters, 8 thresholds": Setting(48, n_thresholds=8),
    "144 filters, 3 thresholds": Setting(144, n_thresholds=3),
    "192 filters, 2 thresholds": Setting(192, n_thresholds=2),
    "192 filters": Setting(192),
    "thresholds of 20 sequences": Setting(n_samples=20),
    "reach of the whole": Setting(reach=1),
    "positive low-pass": Setting(low_pass="positive"),
    "half delta low-pass": Setting(low_pass="half delta"),
    "one channel each": Setting(most_mixed=1),
    "above and rises only": Setting(statistics=STATISTICS[:2]),
    "differences": Setting(differences=True),
}
# 29 November 2026: no gain is above two standard errors, so that the defaults stayed as they were.
CHOSEN = "96 filters, 6 taps, 4 thresholds"


class Data(NamedTuple):
    """A development set: sequences (channels, time_i), classes, groups, and how many rows train."""

    x: list[NDArray[np.float32]]
    y: NDArray[np.int64]
    groups: NDArray[np.int64]
    n_train: int


def read(path: Path) -> Data:
    with np.load(path, allow_pickle=False) as file:
        x = [row[:, :length] for row, length in zip(file["x"], file["lengths"], strict=True)]
        return Data(x, file["y"], file["groups"], int(file["n_train"]))


def split(data: Data, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the training and the test rows of a seed."""
    if len(np.unique(data.groups)) < len(data.y):
        by_group = GroupShuffleSplit(1, train_size=data.n_train / len(data.y), random_state=seed)
        train, test = next(by_group.split(data.y, groups=data.groups))
    else:
        by_class = StratifiedShuffleSplit(1, train_size=data.n_train, random_state=seed)
        train, test = next(by_class.split(data.y, data.y))
    return train, np.random.default_rng(seed).permutation(test)[:MOST_TESTED]


def prepared(x: list[NDArray[np.float32]], train: NDArray[np.intp], differences: bool) -> list[NDArray[np.float32]]:
    """Standardise the channels, and append their differences as further channels if they are wanted."""
    if differences:
        x = [np.concatenate([row, np.diff(row, axis=1, prepend=row[:, :1])]) for row in x]
    values = np.concatenate([x[i] for i in train], axis=1, dtype=np.float64)
    mean, std = values.mean(1, keepdims=True), values.std(1, keepdims=True)
    return [((row - mean) / np.where(std > 0, std, 1)).astype(np.float32) for row in x]


def low_and_high(setting: Setting, generator: np.random.Generator) -> list[NDArray[np.float32]]:
    low, high = generator.normal(size=(2, setting.n_filters, setting.kernel_size))
    high -= high.mean(1, keepdims=True)
    if setting.low_pass == "positive":
        low = np.abs(low)
    if setting.low_pass == "half delta":
        low[::2] *= 0.5 / np.sqrt(setting.kernel_size)
        low[::2, -1] += 1
    return [(h / np.linalg.norm(h, axis=1, keepdims=True)).astype(np.float32) for h in (low, high)]


def mixes(setting: Setting, channels: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return weights (F, C); with differences the second half of the channels belongs to the second half of filters."""
    mixed = np.zeros((setting.n_filters, channels), np.float32)
    parts = 2 if setting.differences else 1
    for f, mix in enumerate(mixed):
        own = mix.reshape(parts, -1)[f * parts // setting.n_filters]
        size = int(2 ** generator.uniform(0, np.log2(min(len(own), setting.most_mixed) + 1)))
        weights = generator.normal(size=size) if setting.weights == "normal" else generator.choice([-1.0, 1.0], size)
        own[generator.choice(len(own), size, replace=False)] = weights / np.linalg.norm(weights)
    return mixed if channels > parts else np.abs(mixed)


def score(data: Data, setting: Setting, seed: int) -> tuple[float, float]:
    """Return the accuracy on the test rows, and processor seconds of fit and predict."""
    train, test = split(data, seed)
    generator = np.random.default_rng(seed)
    x = prepared(data.x, train, setting.differences)
    fitted, tested = [x[i] for i in train], [x[i] for i in test]
    start = time.process_time()
    mix = mixes(setting, len(x[0]), generator)
    low, high = low_and_high(setting, generator)
    steps = int(np.ceil(setting.reach * max(row.shape[1] for row in fitted)))
    depth = default_depth(steps, setting.kernel_size)
    bank = quantile_thresholds(
        fitted, mix, low, high, depth, setting.n_thresholds, n_samples=setting.n_samples, generator=generator
    )
    classes = np.unique(data.y)
    ridge = fit_ridge(features(fitted, bank, setting), 2.0 * (data.y[train][:, None] == classes) - 1, ALPHAS)
    found = classes[(features(tested, bank, setting) @ ridge.coef + ridge.intercept).argmax(1)]
    seconds = time.process_time() - start
    return float(np.mean(found == data.y[test])), seconds


def features(x: list[NDArray[np.float32]], bank: Bank, setting: Setting) -> NDArray[np.float32]:
    which = [STATISTICS.index(name) for name in setting.statistics]
    return shares(x, bank)[:, :, :, :, which].reshape(len(x), -1)


def score_sets(folder: Path, seeds: int, setting: Setting) -> dict[str, dict[str, float]]:
    """Return the mean accuracy and the seconds of a setting on each set."""
    torch.set_num_threads(1)
    found = {}
    for path in sorted(folder.glob("*.npz")):
        data = read(path)
        accuracies, seconds = zip(*[score(data, setting, FIRST_SEED + seed) for seed in range(seeds)], strict=True)
        found[path.stem] = {"accuracy": float(np.mean(accuracies)), "seconds": sum(seconds)}
    print(f"{setting}: {np.mean([one['accuracy'] for one in found.values()]):.4f}", flush=True)
    return found


def markdown(report: dict[str, Any]) -> str:
    results = report["results"]
    sets = list(next(iter(results.values())))
    accuracy = np.array([[result[one]["accuracy"] for one in sets] for result in results.values()])
    ranks = rankdata(-accuracy, axis=0)
    baseline = accuracy[0]
    lines = [f"{report['machine']}. {len(sets)} development sets, {report['seeds']} seeds.", ""]
    lines += ["| setting | mean accuracy | gain over the first | its standard error over sets | mean rank | seconds |"]
    lines.append("|---" * 6 + "|")
    for (name, result), row, rank in zip(results.items(), accuracy, ranks, strict=True):
        error = (row - baseline).std(ddof=1) / np.sqrt(len(sets)) if len(sets) > 1 else np.nan
        seconds = sum(one["seconds"] for one in result.values())
        lines.append(
            f"| {name} | {row.mean():.4f} | {(row - baseline).mean():+.4f} | {error:.4f} | {rank.mean():.2f} "
            f"| {seconds:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--settings", nargs="*", choices=list(SETTINGS), default=list(SETTINGS), metavar="NAME")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    if not list(args.folder.glob("*.npz")):
        parser.error(f"{args.folder}: no NAME.npz; write them with benchmarks/development_sets.py")
    score_here = functools.partial(score_sets, args.folder, args.seeds)
    with ProcessPoolExecutor(args.processes, get_context("spawn")) as pool:
        scored = pool.map(score_here, [SETTINGS[name] for name in args.settings])
        results = dict(zip(args.settings, scored, strict=True))
    report = {"machine": describe_machine(), "seeds": args.seeds, "results": results}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "choose_features.json").write_text(json.dumps(report, indent=2) + "\n")
    (args.out / "choose_features.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
