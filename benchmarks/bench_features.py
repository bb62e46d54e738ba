"""Accuracy and seconds of `SequenceRidgeClassifier` on data sets of your own, beside aeon's ROCKET family.

    python benchmarks/bench_features.py FOLDER [--seeds 3] [--threads 1] [--classifiers NAME ...] [--processes 1]
        [--out benchmarks/results] [--name features]

FOLDER holds NAME_TRAIN.ts and NAME_TEST.ts of the UCR/UEA archives (aeon reads them), or NAME.npz with X_train,
y_train, X_test, y_test; X is (n, channels, time) or (n, time), and the optional arrays lengths_train and lengths_test
say how many steps of each padded sequence are valid. It may also be a folder of `development_sets.py`; each seed draws
its own split there, that of `choose_features.py`. Where aeon can be imported, its classifiers run too: ROCKET,
MiniRocket, MultiRocket and, with PyTorch, MultiRocket-Hydra, with their default parameters, and the nearest neighbour
by dynamic time warping without a window. They get shorter sequences padded with zeros, since those of the ROCKET family
need equal lengths of at least 9.

Seconds are processor time of fit and of predict, summed over the data sets; one fit and predict of a classifier on the
first data set of one channel and on the first of several, in which kernels may be compiled, are not counted. Accuracies
are means over the seeds.
"""

import argparse
import functools
import json
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from choose_features import FIRST_SEED, read, split

from multiresconv.bench.machine import describe_machine
from multiresconv.estimators import SequenceRidgeClassifier

ROCKETS = ("RocketClassifier", "MiniRocketClassifier", "MultiRocketClassifier", "MultiRocketHydraClassifier")


class Split(NamedTuple):
    """A data set: sequences (channels, time_i) and labels of training and test rows."""

    x: list[Any]
    y: Any
    x_test: list[Any]
    y_test: Any


def from_npz(path: Path, seed: int) -> Split:
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    if "n_train" in arrays:
        data = read(path)
        train, test = split(data, FIRST_SEED + seed)
        return Split([data.x[i] for i in train], data.y[train], [data.x[i] for i in test], data.y[test])
    parts: list[Any] = []
    for part in ("train", "test"):
        x = arrays[f"X_{part}"]
        x = x[:, None] if x.ndim == 2 else x
        lengths = arrays.get(f"lengths_{part}", np.full(len(x), x.shape[2]))
        parts += [[row[:, :length] for row, length in zip(x, lengths, strict=True)], arrays[f"y_{part}"]]
    return Split(*parts)


def from_ts(path: Path) -> Split:
    from aeon.datasets import load_from_ts_file  # pyright: ignore[reportMissingImports]

    parts: list[Any] = []
    for part in ("TRAIN", "TEST"):
        x, y = load_from_ts_file(str(path).replace("_TRAIN.ts", f"_{part}.ts"))
        parts += [[np.asarray(row, np.float32) for row in x], np.asarray(y)]
    return Split(*parts)


def padded(rows: Split) -> Split:
    """Return the data set as arrays (n, channels, time), padded with zeros to the longest sequence, 9 steps or more."""
    longest = max(9, *(row.shape[1] for row in (*rows.x, *rows.x_test)))

    def pad(x: list[Any]) -> Any:
        return np.stack([np.pad(row, ((0, 0), (0, longest - row.shape[1]))) for row in x])

    return Split(pad(rows.x), rows.y, pad(rows.x_test), rows.y_test)


def made(classifier: Any, threads: int, seed: int) -> Any:
    return classifier(random_state=seed, n_jobs=threads)


def contenders(threads: int) -> dict[str, Callable[[int], Any]]:
    """Return name -> function from a seed to a classifier."""
    named: dict[str, Callable[[int], Any]] = {"ours": lambda seed: SequenceRidgeClassifier(random_state=seed)}
    try:
        from aeon.classification import convolution_based as theirs  # pyright: ignore[reportMissingImports]
        from aeon.classification.distance_based import (  # pyright: ignore[reportMissingImports]
            KNeighborsTimeSeriesClassifier,
        )
    except ImportError:
        print("aeon cannot be imported: ours alone")
        return named
    for name in ROCKETS:
        named[name] = functools.partial(made, getattr(theirs, name), threads)
    named["1-NN DTW"] = lambda seed: KNeighborsTimeSeriesClassifier(distance="dtw", n_neighbors=1, n_jobs=threads)
    return named


def measure(make: Callable[[int], Any], rows: Split, seed: int) -> dict[str, float]:
    """Return accuracy and processor seconds of fit and predict."""
    start = time.process_time()
    classifier = make(seed).fit(rows.x, rows.y)
    between = time.process_time()
    found = classifier.predict(rows.x_test)
    end = time.process_time()
    return {"accuracy": float(np.mean(found == rows.y_test)), "fit": between - start, "predict": end - between}


def measure_all(sets: dict[str, Path], seeds: int, threads: int, name: str) -> dict[str, dict[str, float]]:
    """Return the means over the seeds of a classifier on each data set."""
    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore", module="aeon|sklearn")
    make, warm, results = contenders(threads)[name], set[bool](), {}
    for one, path in sets.items():
        runs = []
        for seed in range(seeds):
            rows = from_npz(path, seed) if path.suffix == ".npz" else from_ts(path)
            rows = rows if name == "ours" else padded(rows)
            if (several := len(rows.x[0]) > 1) not in warm:
                measure(make, rows, seed)
                warm.add(several)
            runs.append(measure(make, rows, seed))
        results[one] = {what: float(np.mean([run[what] for run in runs])) for what in runs[0]}
        print(name, one, results[one], flush=True)
    return results


def markdown(report: dict[str, Any]) -> str:
    names = list(report["results"])
    sets = list(report["results"][names[0]])
    lines = [f"{report['machine']}. Accuracy; the last lines are processor seconds of all sets.", ""]
    lines += ["| | " + " | ".join(names) + " |", "|---" * (1 + len(names)) + "|"]
    for one in sets:
        lines.append(
            f"| {one} | " + " | ".join(f"{report['results'][name][one]['accuracy']:.3f}" for name in names) + " |"
        )
    for what, reduce in (("accuracy", np.mean), ("fit", np.sum), ("predict", np.sum)):
        cells = [float(reduce([report["results"][name][one][what] for one in sets])) for name in names]
        title = "mean accuracy" if what == "accuracy" else f"seconds of {what}"
        lines.append(
            f"| {title} | "
            + " | ".join(f"{cell:.4f}" if what == "accuracy" else f"{cell:.2f}" for cell in cells)
            + " |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sets", nargs="*", help="names of data sets; default all")
    parser.add_argument("--classifiers", nargs="*", help="such as ours or MiniRocketClassifier; default all")
    parser.add_argument("--processes", type=int, default=1, help="classifiers that run at the same time")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--name", default="features", help="of the files that are written")
    args = parser.parse_args()
    paths = {path.stem: path for path in sorted(args.folder.glob("*.npz"))}
    paths |= {path.stem[:-6]: path for path in sorted(args.folder.rglob("*_TRAIN.ts"))}
    chosen = {name: paths[name] for name in args.sets or paths}
    if not chosen:
        parser.error(f"{args.folder}: no NAME.npz and no NAME_TRAIN.ts")
    names = args.classifiers or list(contenders(args.threads))
    with ProcessPoolExecutor(args.processes, get_context("spawn")) as pool:
        measured = pool.map(functools.partial(measure_all, chosen, args.seeds, args.threads), names)
        results = dict(zip(names, measured, strict=True))
    report = {"machine": describe_machine(), "seeds": args.seeds, "threads": args.threads, "results": results}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / f"{args.name}.json").write_text(json.dumps(report, indent=2) + "\n")
    title = "" if args.name == "features" else f"# Untrained features beside others: {args.name}\n\n"
    (args.out / f"{args.name}.md").write_text(title + markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
