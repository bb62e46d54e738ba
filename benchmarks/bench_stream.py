"""Time of one streaming step on this CPU: the paper's PTB-XL network against a GRU of equal width and depth.

    python benchmarks/bench_stream.py [--threads 2] [--repeats 2000] [--out benchmarks/results]

A step is one call from Python. `MultiresClassifier.stream` returns the running prediction after each sample;
`torch.nn.GRU` runs on a sequence of length 1, without encoder or head. "window" runs the network on the last 1,000
samples, as a network that cannot stream must. Single calls are timed, in turns. The cost late in a stream is timed on
one stream that takes all the steps before.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from multiresconv import MultiresClassifier
from multiresconv.bench.machine import describe_machine

LABELS, WIDTH, DEPTH, CHANNELS, WINDOW = 71, 128, 6, 12, 1000
BATCHES = (1, 4, 16, 64)
MILESTONES = (10, 10_000, 100_000)
TARGET = 90  # microseconds, batch 1


def network() -> MultiresClassifier:
    return MultiresClassifier(LABELS, d_model=WIDTH, n_layers=DEPTH, d_input=CHANNELS, kernel_size=2, depth=10).eval()


def contenders(batch: int) -> dict[str, Callable[[], object]]:
    """Return name -> a function that advances its own stream by one step."""
    model, gru = network(), nn.GRU(WIDTH, WIDTH, num_layers=DEPTH, batch_first=True).eval()
    stream, hidden = model.stream(batch), torch.zeros(DEPTH, batch, WIDTH)
    sample, features, window = (
        torch.randn(batch, CHANNELS),
        torch.randn(batch, 1, WIDTH),
        torch.randn(batch, WINDOW, CHANNELS),
    )

    def step_gru() -> None:
        nonlocal hidden
        with torch.no_grad():
            _, hidden = gru(features, hidden)

    def whole() -> None:
        with torch.no_grad():
            model(window)

    return {"multiresconv": lambda: stream(sample), "gru": step_gru, "window": whole}


def times(batch: int, repeats: int) -> dict[str, dict[str, float]]:
    """Return contender -> microseconds of a step: median, quartiles, minimum."""
    named = contenders(batch)
    runs: dict[str, list[float]] = {name: [] for name in named}
    turns = 20
    for turn in range(turns + 1):
        for name, step in named.items():
            # a window is a thousand times as long as a step
            for call in range(max(repeats // turns // (100 if name == "window" else 1), 2)):
                taken = microseconds(step)
                # not counted: the first turn compiles, and the first call of a turn has cold caches
                if turn and call:
                    runs[name].append(taken)
    return {name: summary(taken) for name, taken in runs.items()}


def growth(repeats: int) -> dict[str, dict[str, float]]:
    """Return number of steps taken so far -> microseconds of the steps that follow."""
    step, done, table = contenders(1)["multiresconv"], 0, {}
    for milestone in MILESTONES:
        while done < milestone:
            step()
            done += 1
        table[str(milestone)] = summary([microseconds(step) for _ in range(repeats)])
        done += repeats
    return table


def microseconds(call: Callable[[], object]) -> float:
    before = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - before) / 1e3


def summary(taken: list[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(taken, n=4)
    return {"median": middle, "low": low, "high": high, "least": min(taken)}


def markdown(report: dict) -> str:
    lines = [
        f"One step of {DEPTH} layers of {WIDTH} channels, float32; {report['machine']}.",
        "Microseconds of a call: median, in brackets the least and the quartiles. "
        f"Target for `multiresconv` at batch 1: {TARGET}.",
        "",
        "| batch | " + " | ".join(next(iter(report["step"].values()))) + " |",
        "|---" * (1 + len(next(iter(report["step"].values())))) + "|",
    ]
    for batch, row in report["step"].items():
        lines.append(f"| {batch} | " + " | ".join(cell(t) for t in row.values()) + " |")
    lines += [
        "",
        "A step of `multiresconv`, batch 1, when a stream is long:",
        "",
        "| steps so far | microseconds |",
        "|---|---|",
    ]
    lines += [f"| {int(steps):,} | {cell(t)} |" for steps, t in report["growth"].items()]
    return "\n".join(lines) + "\n"


def cell(t: dict[str, float]) -> str:
    return f"{t['median']:.0f} ({t['least']:.0f}; {t['low']:.0f}-{t['high']:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    report: dict = {"machine": describe_machine()}
    report["step"] = {str(batch): times(batch, args.repeats) for batch in BATCHES}
    report["growth"] = growth(args.repeats)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "stream.json").write_text(json.dumps(report, indent=2) + "\n")
    (args.out / "stream.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
