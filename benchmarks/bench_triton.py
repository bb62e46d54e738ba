"""The `triton` backend on this GPU: agreement with `reference`, then time against a copy, a conv1d loop and an FFT.

    python benchmarks/bench_triton.py [--rows 0 1 2 3] [--dtypes bfloat16 float32] [--out benchmarks/results]

First, agreement: values and gradients over shapes, dtypes, layouts and memories, also under torch.compile and in a CUDA
graph; the exit code is 1 if an error exceeds its tolerance. Then, for each shape and dtype, medians and quartiles of
the times of forward and forward + backward (all four gradients), with a cold L2. Every contender is captured in a CUDA
graph, so that Python is not measured. "copy" is the lower limit, the time to copy x as often as memory must be passed
over: one copy (2 passes) forward, one and a half more (3 passes) backward. "conv1d loop" is `reference`, which computes
bfloat16 in float32. "fft" is the long convolution of S4 or Hyena with a given kernel. "first call" includes
compilation, into a new cache folder. Rows measured earlier on this machine stay in the report.

Without a GPU nothing is measured; with TRITON_INTERPRET=1 small shapes are compared in Triton's interpreter.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from multiresconv import fading, multires_conv, uniform
from multiresconv.bench.long_convolution import fft_convolution
from multiresconv.bench.machine import describe_machine
from multiresconv.files import write_json, write_text
from multiresconv.ops import Backend, default_depth, weight_size

SHAPES = [(64, 256, 1024, 2), (50, 128, 2048, 4), (16, 512, 1024, 4), (1, 256, 131072, 4)]
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32, "float64": torch.float64}
# Relative to the largest value of each result.
TOLERANCES = {torch.bfloat16: 2e-2, torch.float16: 3e-3, torch.float32: 2e-5, torch.float64: 1e-11}

Run = Callable[[], Any]


class Case(NamedTuple):
    """A shape of the operator's input, a memory, a layout and a dtype."""

    batch: int
    channels: int
    length: int
    taps: int
    memory: tuple[int, ...]
    channels_last: bool = False
    dtype: torch.dtype = torch.float32

    def tensors(self, device: str) -> list[Tensor]:
        """Return x, h0, h1 and w."""
        x = torch.randn(self.batch, self.channels, self.length, device=device, dtype=torch.float64)
        if self.channels_last:
            x = x.transpose(1, 2).contiguous().transpose(1, 2)
        taps = [torch.randn(self.channels, self.taps, device=device) * self.taps**-0.5 for _ in range(2)]
        w = torch.randn(self.channels, weight_size(self.memory), device=device)
        return [t.to(self.dtype) for t in (x, *taps, w)]


SMALL = [
    Case(2, 3, 40, 2, fading(5), dtype=torch.float64),
    Case(1, 9, 33, 3, (1, 0, 2), channels_last=True, dtype=torch.bfloat16),
    Case(1, 2, 20, 17, (1, 1), channels_last=True),
]
CASES = [
    *SMALL,
    Case(5, 37, 1000, 2, fading(10)),
    Case(5, 37, 1000, 2, fading(10), channels_last=True, dtype=torch.bfloat16),
    Case(3, 16, 300, 4, uniform(7, 4, 20), channels_last=True, dtype=torch.float16),
    Case(2, 5, 700, 3, (1, 3, 0, 1, 2), dtype=torch.float64),
    Case(2, 24, 5000, 3, fading(8), channels_last=True),
    Case(1, 3, 5000, 2, fading(13), dtype=torch.bfloat16),
    Case(2, 4, 600, 16, fading(6)),
    Case(2, 12, 600, 40, (1, 1, 500, 1), channels_last=True),
    Case(1, 2, 1, 3, fading(20)),
]


def operator(tensors: list[Tensor], memory: tuple[int, ...], backend: Backend) -> Tensor:
    x, h0, h1, w = tensors
    return multires_conv(x, h0, h1, w, memory, backend=backend)


def forward_backward(function: Callable[[list[Tensor]], Tensor], tensors: list[Tensor], grad: Tensor) -> list[Tensor]:
    """Return y and the four gradients of the function."""
    leaves = [t.detach().requires_grad_() for t in tensors]
    y = function(leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, grad, allow_unused=True, materialize_grads=True)]


def error(got: list[Tensor], wanted: list[Tensor]) -> float:
    """Return the largest error of all results, each relative to the largest value of the result."""
    return max(
        float((g.double() - w.double()).abs().max() / w.double().abs().max()) for g, w in zip(got, wanted, strict=True)
    )


def agreement(device: str) -> bool:
    """Compare every case with `reference` in float64 and print the error; return True if all are within tolerance."""
    good = True

    def report(name: str, case: Case, found: float) -> None:
        nonlocal good
        fine = found <= TOLERANCES[case.dtype]
        good &= fine
        print(f"{'ok ' if fine else 'BAD'} {found:.1e}  {name}  {case}", flush=True)

    def exact(case: Case, tensors: list[Tensor], grad: Tensor) -> list[Tensor]:
        reference = partial(operator, memory=case.memory, backend="reference")
        return forward_backward(reference, [t.double() for t in tensors], grad.double())

    for case in CASES if device == "cuda" else SMALL:
        tensors = case.tensors(device)
        grad = torch.randn_like(tensors[0])
        triton = partial(operator, memory=case.memory, backend="triton")
        got, again = (forward_backward(triton, tensors, grad) for _ in range(2))
        report("eager", case, error(got, exact(case, tensors, grad)))
        if not all(torch.equal(a, b) for a, b in zip(got, again, strict=True)):
            print(f"BAD other bits the second time  {case}")
            good = False
    if device == "cuda":
        case = CASES[len(SMALL)]
        tensors = case.tensors(device)
        grad = torch.randn_like(tensors[0])
        whole = torch.compile(partial(operator, memory=case.memory, backend="auto"), fullgraph=True)
        report("torch.compile", case, error(forward_backward(whole, tensors, grad), exact(case, tensors, grad)))
        report("CUDA graph", case, error(captured(case, tensors, grad), exact(case, tensors, grad)))
    return good


def captured(case: Case, tensors: list[Tensor], grad: Tensor) -> list[Tensor]:
    """Return y and the gradients from a CUDA graph that was captured on other values."""
    inputs = [torch.zeros_like(t) for t in (*tensors, grad)]
    triton = partial(operator, memory=case.memory, backend="triton")
    results: list[Tensor] = []

    def run() -> None:
        results[:] = forward_backward(triton, inputs[:4], inputs[4])

    replay = graph(run)
    for t, value in zip(inputs, (*tensors, grad), strict=True):
        t.copy_(value)
    replay()
    return results


def graph(run: Run) -> Run:
    """Capture `run` in a CUDA graph; return the replay function."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    kept = torch.cuda.CUDAGraph()
    with torch.cuda.graph(kept):
        run()
    return kept.replay


def contenders(case: Case) -> dict[str, dict[str, Run]]:
    """Return name -> {"forward", "both"} -> function to time."""
    tensors = case.tensors("cuda")
    x = tensors[0]
    grad, kernel = torch.randn_like(x), torch.randn(case.channels, case.length, device="cuda") * case.length**-0.5
    leaves, kernel_leaf = [t.detach().requires_grad_() for t in tensors], kernel.detach().requires_grad_()
    # 2 passes forward, 3 more with backward: two copies and a half
    copies, half = [torch.empty_like(x) for _ in range(2)], torch.empty_like(x[..., : case.length // 2])

    def runs(backend: Backend) -> dict[str, Run]:
        return {
            "forward": lambda: operator(tensors, case.memory, backend),
            "both": lambda: torch.autograd.grad(operator(leaves, case.memory, backend), leaves, grad),
        }

    def fft(x: Tensor, kernel: Tensor) -> Tensor:
        return fft_convolution(x.float(), kernel).to(x.dtype)

    def copy_both() -> None:
        for target in copies:
            target.copy_(x)
        half.copy_(x[..., : case.length // 2])

    return {
        "copy": {"forward": lambda: copies[0].copy_(x), "both": copy_both},
        "triton": runs("triton"),
        "conv1d loop": runs("reference"),
        "fft": {
            "forward": lambda: fft(x, kernel),
            "both": lambda: torch.autograd.grad(fft(leaves[0], kernel_leaf), [leaves[0], kernel_leaf], grad),
        },
    }


def milliseconds(run: Run) -> list[float]:
    """Return first quartile, median and third quartile; the L2 cache is flushed before each run."""
    from triton.testing import do_bench

    times: Any = do_bench(run, warmup=50, rep=300, quantiles=[0.25, 0.5, 0.75])
    return [float(t) for t in times]


def measure(case: Case) -> dict[str, Any]:
    """Return contender -> quartiles in ms of "forward" and "both"; for triton also seconds of the first call."""
    row: dict[str, Any] = {}
    for name, runs in contenders(case).items():
        row[name] = {}
        first = 0.0
        for kind, run in runs.items():
            first += timed(run)
            try:
                row[name][kind] = milliseconds(graph(run))
            except torch.OutOfMemoryError:
                row[name][kind] = None
            torch.cuda.empty_cache()
        if name == "triton":
            row[name]["first call, s"] = first
            row[name]["forward without graph"] = milliseconds(runs["forward"])
            row[name]["both without graph"] = milliseconds(runs["both"])
        print(f"  {name}: {row[name]}", flush=True)
    return row


def timed(run: Run) -> float:
    """Return the seconds of one call."""
    torch.cuda.synchronize()
    before = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - before


def markdown(report: dict[str, Any]) -> str:
    names = ["copy", "triton", "conv1d loop", "fft"]
    lines = [
        f"{report['machine']}. Fading memory over all scales; CUDA graphs, cold L2.",
        "",
        "Median ms (quartiles) of forward / forward + backward; then the share of the copy's bandwidth, and how many",
        "times as long the conv1d loop takes. First call: both are compiled, nothing of them on disk.",
        "",
        "| (B, D, L, K), dtype | " + " | ".join(names) + " | share of the copy | loop / triton | first call, s |",
        "|---" * (len(names) + 4) + "|",
    ]
    for shape, row in report["rows"].items():
        cells = [f"{_cell(row[name]['forward'])} / {_cell(row[name]['both'])}" for name in names]
        shares = " / ".join(_ratio(row["copy"][kind], row["triton"][kind], "{:.0%}") for kind in ("forward", "both"))
        gains = " / ".join(
            _ratio(row["conv1d loop"][kind], row["triton"][kind], "{:.1f}") for kind in ("forward", "both")
        )
        lines.append(f"| {shape} | {' | '.join(cells)} | {shares} | {gains} | {row['triton']['first call, s']:.0f} |")
    return "\n".join(lines) + "\n"


def _cell(times: list[float] | None) -> str:
    return "out of memory" if times is None else f"{times[1]:.3f} ({times[0]:.3f}-{times[2]:.3f})"


def _ratio(over: list[float] | None, under: list[float] | None, form: str) -> str:
    return "-" if over is None or under is None else form.format(over[1] / under[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=list(range(len(SHAPES))), help="which shapes to time")
    parser.add_argument("--dtypes", nargs="*", choices=list(DTYPES), default=["bfloat16", "float32"])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.manual_seed(0)
    if not torch.cuda.is_available():
        print("no GPU: not measured")
        return 0 if os.environ.get("TRITON_INTERPRET") != "1" or agreement("cpu") else 1
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRITON_CACHE_DIR"] = folder  # Triton reads it on first use, so first calls compile
        if not agreement("cuda"):
            return 1
        import triton

        machine = f"{describe_machine('cuda')}, triton {triton.__version__}"
        report: dict[str, Any] = {"machine": machine, "rows": {}}
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / "triton.json"
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            report = before if before["machine"] == machine else report
        for batch, channels, length, taps in (SHAPES[row] for row in args.rows):
            for dtype in args.dtypes:
                memory = fading(default_depth(length, taps))
                name = f"({batch}, {channels}, {length}, {taps}), {dtype}"
                print(name, flush=True)
                report["rows"][name] = measure(Case(batch, channels, length, taps, memory, dtype=DTYPES[dtype]))
                write_json(path, report)
                write_text(args.out / "triton.md", markdown(report))
    print(markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
