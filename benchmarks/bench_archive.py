"""Recordings per second of `multiresconv predict --table`: a naive loop, processes, and Ray.

    python benchmarks/bench_archive.py [--recordings 4000] [--repeats 3] [--out benchmarks/results]

CSV files of two channels and 200 to 400 samples, as `examples/make_recordings.py` writes them, are predicted by the
model of `results/pumps`. The loop reads and predicts one file after another in one process that is warm. The others are
whole calls: they start processes, load the model in each, and write Parquet files. The contenders take turns.
"""

import argparse
import csv
import importlib.util
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from multiresconv import load
from multiresconv.bench.machine import describe_machine
from multiresconv.bench.timing import take_turns
from multiresconv.files import write_json, write_text
from multiresconv.runs.archive.archive import predict_archive
from multiresconv.runs.archive.local import run_local
from multiresconv.runs.archive.on_ray import on_ray
from multiresconv.runs.archive.work import Run, Work
from multiresconv.runs.inputs import read_rows
from multiresconv.runs.predict import predict

MODEL = Path(__file__).parents[1] / "results" / "pumps" / "model"
RATE = 50
LOOP = "naive loop, one file at a time"


def write_recordings(folder: Path, count: int) -> Path:
    """Write noise in the place of vibration and pressure, and a table; return the table's path."""
    random = np.random.default_rng(0)
    table = folder / "table.csv"
    with open(table, "w", encoding="utf-8") as listed:
        listed.write("file\n")
        for number in range(count):
            n = int(random.integers(4 * RATE, 8 * RATE))
            with open(folder / f"r{number}.csv", "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["time", "vibration", "pressure"])
                rows = zip(np.arange(n) / RATE, random.normal(size=n), 3 + 0.1 * random.normal(size=n), strict=True)
                writer.writerows([f"{t:.2f}", f"{v:.3f}", f"{p:.4f}"] for t, v, p in rows)
            listed.write(f"r{number}.csv\n")
    return table


def loop(files: list[Path]) -> None:
    model = load(MODEL)
    for file in files:
        for _ in predict(model, read_rows(model, file), batch_size=1):
            pass


def archive(table: Path, run: Run, threads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Work(MODEL.resolve(), Path(), table.parent, device="cpu", threads=threads)
        totals = predict_archive(work, table, Path(folder) / "out", run, rows_of_part=250, options={})
    assert not totals.failed


def archive_on_ray(table: Path) -> None:
    with on_ray(2, "local") as run:
        archive(table, run, 1)


def measure(folder: Path, recordings: int, repeats: int) -> dict[str, Any]:
    table = write_recordings(folder, recordings)
    threads = torch.get_num_threads()
    calls: dict[str, Callable[[], None]] = {
        LOOP: partial(loop, [folder / f"r{number}.csv" for number in range(recordings)])
    }
    for workers in (1, 2):
        share = max(threads // workers, 1)
        calls[f"local, {workers} worker(s)"] = partial(archive, table, partial(run_local, workers=workers), share)
    if importlib.util.find_spec("ray") is not None:
        calls["ray, 2 workers"] = partial(archive_on_ray, table)
    taken = take_turns(calls, repeats=repeats, budget=600)
    speeds = {name: [recordings / time for time in (of.high, of.median, of.low)] for name, of in taken.items()}
    return {"machine": describe_machine(), "recordings": recordings, "repeats": repeats, "per second": speeds}


def markdown(report: dict[str, Any]) -> str:
    lines = [
        f"{report['recordings']:,} recordings of 200 to 400 samples as CSV; {report['machine']}.",
        f"Recordings per second of a whole call: median (quartiles) of {report['repeats']} calls, and how many times "
        "that of the loop.",
        "",
        "| | recordings per second | of the loop |",
        "|---|---|---|",
    ]
    of_loop = report["per second"][LOOP][1]
    for name, (low, median, high) in report["per second"].items():
        lines.append(f"| {name} | {median:.0f} ({low:.0f}-{high:.0f}) | {median / of_loop:.2f}x |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=4_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), args.recordings, args.repeats)
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "archive.json", report)
    write_text(args.out / "archive.md", markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
