"""Time and memory of `multires_conv` on this CPU: the Numba kernels against a conv1d loop and an FFT convolution.

    python benchmarks/bench_conv.py [--threads 2] [--repeats 15] [--out benchmarks/results]

Times are medians of forward and forward + backward (all four gradients), measured in turns. Memory is the growth of
peak resident memory during one forward + backward, in units of the size of x; it includes the returned gradients (that
of x is one unit). "fft" is the long convolution of S4 or Hyena with a given kernel.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from multiresconv import fading, multires_conv, uniform
from multiresconv.bench.long_convolution import fft_convolution
from multiresconv.bench.machine import describe_machine
from multiresconv.bench.memory import peak_extra_memory
from multiresconv.ops import Backend, default_depth, weight_size

SHAPES = [(8, 128, 2048, 4), (8, 256, 1024, 2), (8, 128, 1000, 2), (1, 128, 16384, 4)]
MEMORY_SHAPE = (1, 128, 16384, 4)

Contender = tuple[Callable[..., Tensor], list[Tensor]]


def contenders(batch: int, channels: int, length: int, kernel_size: int) -> dict[str, Contender]:
    """Return name -> (function, its arguments); every function returns (B, D, L)."""
    depth = default_depth(length, kernel_size)
    x = torch.randn(batch, channels, length)
    last = torch.randn(batch, length, channels).transpose(1, 2)
    taps = [torch.randn(channels, kernel_size) * kernel_size**-0.5 for _ in range(2)]
    w = torch.randn(channels, weight_size(fading(depth)))
    same_size = uniform(depth, kernel_size, depth + 1)

    def operator(backend: Backend, memory: tuple[int, ...]) -> Callable[..., Tensor]:
        return lambda x, h0, h1, w: multires_conv(x, h0, h1, w, memory, backend=backend)

    return {
        "conv1d loop": (operator("reference", fading(depth)), [x, *taps, w]),
        "fft": (fft_convolution, [x, torch.randn(channels, length) * length**-0.5]),
        "cpu": (operator("cpu", fading(depth)), [x, *taps, w]),
        "cpu, uniform": (operator("cpu", same_size), [x, *taps, w]),
        "cpu, channels last": (operator("cpu", fading(depth)), [last, *taps, w]),
    }


def forward_backward(contender: Contender, grad: Tensor) -> None:
    function, tensors = contender
    leaves = [t.detach().requires_grad_() for t in tensors]
    torch.autograd.grad(function(*leaves), leaves, grad)


def forward(contender: Contender) -> None:
    with torch.no_grad():
        contender[0](*contender[1])


def times(shape: tuple[int, int, int, int], repeats: int) -> dict[str, dict[str, float]]:
    """Return contender -> median milliseconds of forward and forward + backward, and quartiles of the latter."""
    named = contenders(*shape)
    grads = {name: torch.randn_like(contender[1][0]) for name, contender in named.items()}
    runs: dict[str, dict[str, list[float]]] = {name: {"forward": [], "both": []} for name in named}
    for _ in range(repeats):
        for name, contender in named.items():
            # The first run of a turn is not counted: it warms up the caches and the allocator.
            for timed in (False, True):
                before = time.perf_counter()
                forward(contender)
                between = time.perf_counter()
                forward_backward(contender, grads[name])
                after = time.perf_counter()
                if timed:
                    runs[name]["forward"].append(1e3 * (between - before))
                    runs[name]["both"].append(1e3 * (after - between))
    table = {}
    for name, run in runs.items():
        low, middle, high = statistics.quantiles(run["both"], n=4)
        table[name] = {"forward": statistics.median(run["forward"]), "both": middle, "low": low, "high": high}
    return table


def peak_memory(name: str) -> float:
    """Return the extra peak memory of forward + backward at MEMORY_SHAPE in this process, in units of x (Linux)."""
    contender = contenders(*MEMORY_SHAPE)[name]
    small = contenders(1, 4, 64, MEMORY_SHAPE[3])[name]
    forward_backward(small, torch.randn_like(small[1][0]))  # loads kernels and libraries
    grad = torch.randn_like(contender[1][0])
    extra = peak_extra_memory(lambda: forward_backward(contender, grad))
    if extra is None:
        raise OSError("this system does not tell the peak memory of a process; Linux does")
    return extra / contender[1][0].nbytes


def markdown(report: dict) -> str:
    lines = [
        f"float32, fading memory over all scales unless said otherwise; {report['machine']}.",
        "Median ms of forward / forward + backward; in brackets how many times as long as `cpu` (forward + backward).",
        "",
        "| (B, D, L, K) | " + " | ".join(next(iter(report["times"].values()))) + " |",
        "|---" * (1 + len(next(iter(report["times"].values())))) + "|",
    ]
    for shape, row in report["times"].items():
        cells = [f"{t['forward']:.1f} / {t['both']:.1f} ({t['both'] / row['cpu']['both']:.1f}x)" for t in row.values()]
        lines.append(f"| {shape} | " + " | ".join(cells) + " |")
    memory = ", ".join(f"{name} {size:.1f}" for name, size in report["memory"].items())
    lines += ["", f"Peak extra memory of forward + backward at {MEMORY_SHAPE}, in tensors of x's size: {memory}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)  # this process measures one contender
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print(peak_memory(args.memory_of))
        return
    report: dict = {"machine": describe_machine(), "times": {}, "memory": {}}
    for shape in SHAPES:
        report["times"][str(shape)] = times(shape, args.repeats)
    for name in contenders(1, 1, 4, 2):
        command = [sys.executable, __file__, "--threads", str(args.threads), "--memory-of", name]
        report["memory"][name] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "conv.json").write_text(json.dumps(report, indent=2) + "\n")
    (args.out / "conv.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
