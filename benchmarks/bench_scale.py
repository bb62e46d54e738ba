"""How time and memory of a training step scale: measured points, and laws fitted to them.

    python benchmarks/bench_scale.py [--repeats 7] [--out benchmarks/results] [--quick]

A step is forward and backward with all gradients, in float32, with fading memory. The operator goes to 2^20 steps; the
network of fused blocks varies in length, width, batch and taps. Both run on one and on two threads, all cells in turns.
Memory is the growth of peak resident memory during a step, each length in a process of its own. A sequence is split
over one and two processes of one thread by `sequence_parallel`. `scaling_law.py` has the laws; the coefficients
minimise relative errors. `--quick` measures tiny sizes, to try the script.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from scaling_law import MEMORY, NETWORK, OPERATOR, Law, Size, pipeline
from torch import nn
from torch.multiprocessing.spawn import spawn

from multiresconv import MultiresBlock, MultiresLayer
from multiresconv.bench.machine import describe_machine
from multiresconv.bench.memory import peak_extra_memory
from multiresconv.bench.timing import seconds, take_turns
from multiresconv.files import write_json, write_text
from multiresconv.models import MultiresNet, sequence_parallel
from multiresconv.ops import default_depth

THREADS = (1, 2)
PROCESSES = (1, 2)
# Seconds for all runs of one size, so that the whole takes minutes
_BUDGET = 3.0


def operator_sizes(quick: bool) -> list[Size]:
    powers = range(6, 9) if quick else range(10, 21)
    return [Size(1, 1 << power, 16, default_depth(1 << power, 2)) for power in powers]


def network_sizes(quick: bool) -> list[Size]:
    if quick:
        return [Size(1, n, d, default_depth(n, 2), blocks=2) for n in (32, 64) for d in (4, 8)]
    lengths = [Size(1, 1 << power, 64, power, blocks=2) for power in range(10, 18)]
    widths = [Size(1, 2048, width, 11, blocks=2) for width in (16, 32, 128, 256)]
    batches = [Size(batch, 1024, 64, 10, blocks=2) for batch in (2, 4, 8, 16)]
    taps = [Size(1, 2048, 64, default_depth(2048, taps), taps, blocks=2) for taps in (4, 8)]
    return [*lengths, *widths, *batches, *taps]


def memory_sizes(quick: bool) -> list[Size]:
    powers = range(6, 8) if quick else range(12, 18)
    return [Size(1, 1 << power, 64, power, blocks=2) for power in powers]


def split_size(quick: bool) -> Size:
    return Size(1, 64, 4, 3, blocks=2) if quick else Size(1, 1 << 13, 32, 8, blocks=4)


def step(module: nn.Module, of: Size) -> Callable[[], None]:
    """Return a function that runs forward and backward of a module on x (batch, length, width)."""
    x, grad = (torch.randn(of.batch, of.length, of.width) for _ in range(2))
    leaves = [x.requires_grad_(), *module.parameters()]

    def run() -> None:
        torch.autograd.grad(module(x), leaves, grad)

    return run


def operator_step(of: Size) -> Callable[[], None]:
    return step(MultiresLayer(of.width, kernel_size=of.kernel_size, depth=of.depth), of)


def network_step(of: Size) -> Callable[[], None]:
    blocks = [MultiresBlock(of.width, kernel_size=of.kernel_size, depth=of.depth) for _ in range(of.blocks)]
    return step(nn.Sequential(*blocks), of)


def on_threads(threads: int, call: Callable[[], None], times: int) -> Callable[[], None]:
    def run() -> None:
        torch.set_num_threads(threads)
        for _ in range(times):
            call()

    return run


def timed(
    law: Law, make: Callable[[Size], Callable[[], None]], sizes: Sequence[Size], repeats: int, at_least: int
) -> dict[str, Any]:
    """Measure all sizes on all numbers of threads in turns, and fit the law for each number of threads.

    A timed call has `at_least` time steps: short sequences are repeated.
    """
    times = [max(1, at_least // (of.batch * of.length)) for of in sizes]
    steps = [make(of) for of in sizes]
    cells = {(t, i): on_threads(t, steps[i], times[i]) for t in THREADS for i in range(len(sizes))}
    taken = take_turns({f"{t} {i}": call for (t, i), call in cells.items()}, repeats=repeats, budget=_BUDGET)
    report = {}
    for threads in THREADS:
        costs = [taken[f"{threads} {i}"].median / times[i] for i in range(len(sizes))]
        report[str(threads)] = fitted(law, sizes, costs)
    return report


def fitted(law: Law, sizes: Sequence[Size], costs: Sequence[float]) -> dict[str, Any]:
    """Return the coefficients of a law and the points with the law's value and its relative error."""
    coefficients = law.fit(sizes, costs)
    points = []
    for of, cost in zip(sizes, costs, strict=True):
        value = law.predict(coefficients, of)
        points.append({**asdict(of), "measured": cost, "law": value, "error": value / cost - 1})
    return {"law": law.text, "coefficients": coefficients, "points": points}


def memory_of(of: Size) -> int:
    """Measure the extra peak memory of a step of the network, in bytes, in a process of its own."""
    sizes = [str(value) for value in asdict(of).values()]
    # freed memory returns to the system, so that reusing it counts
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 16)}
    command = [sys.executable, __file__, "--memory-of", *sizes]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def print_memory(of: Size) -> None:
    torch.set_num_threads(1)
    network_step(Size(1, 32, of.width, of.depth, of.kernel_size, of.blocks))()  # loads libraries and kernels
    extra = peak_extra_memory(network_step(of))
    if extra is None:
        raise OSError("this system does not tell the peak memory of a process; Linux does")
    print(extra)


def one_process(rank: int, processes: int, of: Size, repeats: int, folder: str) -> None:
    """Time forward and backward of this process's part of a sequence; rank 0 writes the median."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=processes)
    net = MultiresNet(of.width, of.blocks, d_input=1, depth=of.depth, kernel_size=of.kernel_size)
    x = torch.randn(of.batch, of.length // processes, 1)

    def run() -> None:
        sequence_parallel(net, x).sum().backward()
        dist.barrier()

    run()
    taken = [seconds(run) for _ in range(repeats)]
    if rank == 0:
        write_text(Path(folder) / "seconds", str(statistics.median(taken)))
    dist.destroy_process_group()


def split(of: Size, repeats: int) -> dict[str, Any]:
    """Time one sequence in one process and split over several."""
    taken = {}
    for processes in PROCESSES:
        with tempfile.TemporaryDirectory() as folder:
            spawn(one_process, (processes, of, repeats, folder), nprocs=processes)
            taken[processes] = float((Path(folder) / "seconds").read_text())
    points = []
    for processes, cost in taken.items():
        law = taken[1] * pipeline(of.blocks, processes)
        points.append({"processes": processes, "measured": cost, "law": law, "error": law / cost - 1})
    return {**asdict(of), "points": points}


def say(part: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {part}", file=sys.stderr, flush=True)


def measure(quick: bool, repeats: int) -> dict[str, Any]:
    sizes, at_least = memory_sizes(quick), 1 if quick else 1 << 14
    report: dict[str, Any] = {"machine": describe_machine(), "repeats": repeats, "quick": quick}
    say("operator")
    report["operator"] = timed(OPERATOR, operator_step, operator_sizes(quick), repeats, at_least)
    say("network")
    report["network"] = timed(NETWORK, network_step, network_sizes(quick), repeats, at_least)
    say("memory")
    report["memory"] = fitted(MEMORY, sizes, [memory_of(of) for of in sizes])
    say("split")
    report["split"] = split(split_size(quick), repeats)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--memory-of", type=int, nargs=6, help=argparse.SUPPRESS)  # this process measures one size
    args = parser.parse_args()
    torch.manual_seed(0)
    if args.memory_of:
        print_memory(Size(*args.memory_of))
        return
    from scale_pages import draw, markdown  # matplotlib is not for the processes that measure

    report = measure(args.quick, args.repeats)
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "scale.json", report)
    write_text(args.out / "scale.md", markdown(report))
    draw(report).savefig(args.out / "scale.png", dpi=90)
    print(markdown(report))


if __name__ == "__main__":
    main()
