"""Time per element and scale, and memory, of the operator on this CPU for 2^10 to 2^20 steps.

    python benchmarks/bench_length.py [--threads 1] [--repeats 15] [--out benchmarks/results]

One batch element, 16 channels, float32, fading memory over the default depth; forward + backward with all four
gradients. Times are medians; the lengths are measured in turns. Memory is the growth of peak resident memory during a
step, in units of the size of x, including the returned gradients; each length runs in its own process.
"""

import argparse
import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from multiresconv import fading, multires_conv
from multiresconv.bench.machine import describe_machine
from multiresconv.bench.memory import peak_extra_memory
from multiresconv.bench.timing import take_turns
from multiresconv.files import write_json, write_text
from multiresconv.ops import default_depth, weight_size

CHANNELS = 16
LENGTHS = [1 << power for power in range(10, 21)]
KERNEL_SIZES = [2, 4]
# Least number of time steps in a timed call: short sequences are repeated.
_TIMED = 1 << 15


def step(length: int, kernel_size: int) -> Callable[[], None]:
    """Return a function that runs forward + backward on x (1, 16, length)."""
    memory = fading(default_depth(length, kernel_size))
    sizes = (kernel_size, kernel_size, weight_size(memory))
    x, grad = (torch.randn(1, CHANNELS, length) for _ in range(2))
    parameters = [torch.randn(CHANNELS, size) * size**-0.5 for size in sizes]
    x, h0, h1, w = leaves = [t.requires_grad_() for t in (x, *parameters)]

    def run() -> None:
        torch.autograd.grad(multires_conv(x, h0, h1, w, memory, backend="cpu"), leaves, grad)

    return run


def repeated(call: Callable[[], None], times: int) -> None:
    for _ in range(times):
        call()


def peak_memory(length: int, kernel_size: int) -> float:
    """Return the extra peak memory of a step in this process, in units of the size of x."""
    step(LENGTHS[0], kernel_size)()  # loads libraries and kernels
    step(LENGTHS[-1], kernel_size)()
    extra = peak_extra_memory(step(length, kernel_size))
    if extra is None:
        raise OSError("this system does not tell the peak memory of a process; Linux does")
    return extra / (4 * CHANNELS * length)


def measure(threads: int, repeats: int) -> dict[str, Any]:
    cells = {(k, n): max(1, _TIMED // n) for k in KERNEL_SIZES for n in LENGTHS}
    calls = {f"{k} {n}": functools.partial(repeated, step(n, k), times) for (k, n), times in cells.items()}
    times = take_turns(calls, repeats=repeats, budget=120)
    report: dict[str, Any] = {"machine": describe_machine(), "channels": CHANNELS, "kernel sizes": {}}
    for k in KERNEL_SIZES:
        rows = report["kernel sizes"][str(k)] = {}
        for n in LENGTHS:
            command = [sys.executable, __file__, "--threads", str(threads), "--memory-of", str(n), str(k)]
            # freed memory returns to the system, so that reusing it counts
            environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 16)}
            peak = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
            taken, unit = times[f"{k} {n}"], cells[k, n] * CHANNELS * n * default_depth(n, k) / 1e9
            spread = {"low": taken.low / unit, "ns": taken.median / unit, "high": taken.high / unit}
            rows[str(n)] = {"scales": default_depth(n, k), **spread, "memory": float(peak)}
    return report


def markdown(report: dict[str, Any]) -> str:
    lines = [
        f"Forward + backward of `multires_conv`, x (1, {report['channels']}, L), float32, fading memory over all "
        f"scales; {report['machine']}.",
        "ns per element and scale: median (quartiles) and how many times the cheapest length's. Memory: peak beyond "
        "what was there before the step, in tensors of x's size; y and the gradient of x are two. Not given where "
        "x takes less than 1 MiB, which a process may have to spare.",
    ]
    for kernel_size, rows in report["kernel sizes"].items():
        cheapest = min(row["ns"] for row in rows.values())
        lines += [
            "",
            f"K = {kernel_size}",
            "",
            "| L | scales | ns | of the cheapest | memory |",
            "|---|---|---|---|---|",
        ]
        for length, row in rows.items():
            time = f"{row['ns']:.2f} ({row['low']:.2f}-{row['high']:.2f}) | {row['ns'] / cheapest:.2f}x"
            memory = f"{row['memory']:.2f}" if int(length) * report["channels"] * 4 >= 1 << 20 else "-"
            lines.append(f"| {int(length):,} | {row['scales']} | {time} | {memory} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--memory-of", type=int, nargs=2, help=argparse.SUPPRESS)  # this process measures one length
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print(peak_memory(*args.memory_of))
        return
    report = measure(args.threads, args.repeats)
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "length.json", report)
    write_text(args.out / "length.md", markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
