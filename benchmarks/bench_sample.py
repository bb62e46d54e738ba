"""Time to sample images from a `MultiresAR` on this CPU: streaming against running the whole network per pixel.

    python benchmarks/bench_sample.py [--threads 2] [--repeats 5] [--naive-pixels 16] [--out benchmarks/results]

Random weights: 4 layers x 128, K = 2, depth 10; images of 1024 pixels, 3 channels. Times are medians, measured in
turns. "streamed" is `sample` for whole images, in float64 (its default) and in float32. "naive", in float32, runs the
network over all 1024 pixels for every pixel that it draws, with the operator's fast kernels; "naive, conv1d loop" does
so with the operator in plain PyTorch. All naive pixels take equally long, so only some, evenly spread, are timed (fewer
for batches above 16), and their mean is multiplied by 1024.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from multiresconv import MultiresAR
from multiresconv.bench.machine import describe_machine
from multiresconv.models import sample
from multiresconv.models.logistic_mixture import draw_pixels
from multiresconv.models.sampling import image_noise
from multiresconv.ops import Backend

LENGTH = 1024
BATCHES = (1, 16, 64)

Timer = Callable[[], float]


def build(backend: Backend = "auto") -> MultiresAR:
    torch.manual_seed(0)
    return MultiresAR(128, 4, kernel_size=2, depth=10, backend=backend).eval()


def streamed(batch: int, dtype: torch.dtype) -> Timer:
    """Return a function that measures the seconds for a batch of images."""
    model = build()

    def seconds() -> float:
        before = time.perf_counter()
        sample(model, batch, LENGTH, batch_size=batch, dtype=dtype)
        return time.perf_counter() - before

    return seconds


@torch.inference_mode()
def naive(batch: int, pixels: int, backend: Backend) -> Timer:
    """Return a function that estimates the seconds for a batch of images from some of their pixels."""
    model = build(backend)
    images = torch.randint(256, (batch, LENGTH, 3), dtype=torch.uint8)
    noise = [image_noise(model, LENGTH, seed=0, row=row) for row in range(batch)]
    gumbel, logistic = (np.stack(arrays) for arrays in zip(*noise, strict=True))
    places = np.linspace(0, LENGTH - 1, pixels).round().astype(int).tolist()

    @torch.inference_mode()
    def seconds() -> float:
        before = time.perf_counter()
        for t in places:
            params = model(images)[:, t].double().numpy()
            images[:, t] = torch.from_numpy(draw_pixels(params, gumbel[:, t], logistic[:, t]))
        return (time.perf_counter() - before) * LENGTH / len(places)

    return seconds


def times(batch: int, repeats: int, naive_pixels: int) -> dict[str, float]:
    """Return contender -> median seconds for a batch of images."""
    naive_pixels = max(1, naive_pixels * min(16, batch) // batch)
    timers = {
        "streamed": streamed(batch, torch.float64),
        "streamed, float32": streamed(batch, torch.float32),
        "naive": naive(batch, naive_pixels, "auto"),
        "naive, conv1d loop": naive(batch, naive_pixels, "reference"),
    }
    for timer in timers.values():
        timer()  # loads kernels and libraries
    runs: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(repeats):
        for name, timer in timers.items():
            runs[name].append(timer())
    return {name: statistics.median(seconds) for name, seconds in runs.items()}


def markdown(report: dict) -> str:
    names = list(next(iter(report["seconds"].values())))
    lines = [
        f"4 layers x 128, K = 2, depth 10, {LENGTH} pixels, 3 channels; {report['machine']}.",
        "Seconds for a batch of images; in brackets how many times as long as `streamed`, which runs the network in",
        f"float64, the default; naive runs in float32, timed on {report['naive_pixels']} of the {LENGTH} pixels, "
        "with more than 16 images on fewer.",
        "",
        "| batch | " + " | ".join(names) + " |",
        "|---" * (1 + len(names)) + "|",
    ]
    for batch, row in report["seconds"].items():
        cells = [f"{three_digits(taken)} ({three_digits(taken / row['streamed'])}x)" for taken in row.values()]
        lines.append(f"| {batch} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def three_digits(number: float) -> str:
    return f"{float(f'{number:.3g}'):,.10g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--naive-pixels", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    seconds = {str(batch): times(batch, args.repeats, args.naive_pixels) for batch in BATCHES}
    report = {"machine": describe_machine(), "naive_pixels": args.naive_pixels, "seconds": seconds}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "sample.json").write_text(json.dumps(report, indent=2) + "\n")
    (args.out / "sample.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
