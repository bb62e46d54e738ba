"""Time of a time step in ONNX Runtime on this CPU, against this library, for PTB-XL's network of 6 layers of 128.

    python benchmarks/bench_onnx.py [--threads 2] [--seconds 1] [--out benchmarks/results]

A stream comes in chunks of 1, 10, 100 or 1,000 samples; the last row of the table is a whole sequence of 1,000 without
a state. Each figure is the time of a call divided by the time steps of one sequence in it. The contenders take turns,
several calls each, in one process.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from multiresconv import MultiresClassifier
from multiresconv.bench.machine import describe_machine
from multiresconv.export import to_onnx

LABELS, WIDTH, LAYERS, CHANNELS, LENGTH = 71, 128, 6, 12, 1000
BATCHES = (1, 16)
CHUNKS = (1, 10, 100, 1000)
TURNS = 7


def contenders(model: MultiresClassifier, sessions: dict[str, Any], chunk: int, batch: int) -> dict[str, Callable]:
    """Return name -> a function that takes the next chunk of its own stream."""
    x = torch.randn(batch, chunk, CHANNELS)
    stream = model.stream(batch)
    calls: dict[str, Callable] = {"multiresconv": lambda: stream(x[:, 0] if chunk == 1 else x)}
    for name, session in sessions.items():
        calls[name] = of_stream(session, x.numpy())
    return calls


def of_stream(session: Any, x: np.ndarray) -> Callable:
    dtypes = {"tensor(float)": np.float32, "tensor(int32)": np.int32}
    state = {
        one.name: np.zeros([len(x), *one.shape[1:]], dtypes[one.type])
        for one in session.get_inputs()
        if one.name != "x"
    }

    def call() -> None:
        nonlocal state
        _, *after = session.run(None, {"x": x, **state})
        state = dict(zip(state, after, strict=True))

    return call


def whole(model: MultiresClassifier, sessions: dict[str, Any], batch: int) -> dict[str, Callable]:
    """Return name -> a function that computes whole sequences."""
    x = torch.randn(batch, LENGTH, CHANNELS)
    feeds = {"x": x.numpy(), "lengths": np.full(batch, LENGTH, np.int32)}

    def ours() -> None:
        with torch.inference_mode():
            model(x)

    return {"multiresconv": ours, **{name: lambda s=one: s.run(None, feeds) for name, one in sessions.items()}}


def times(calls: dict[str, Callable], steps: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return contender -> microseconds of a time step: median, least and largest of `TURNS` turns."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    counts = {}
    for name, call in calls.items():
        call()
        taken = min(duration(call, 1) for _ in range(3))
        counts[name] = max(1, round(seconds / TURNS / taken))
    for _ in range(TURNS):
        for name, call in calls.items():
            call()  # caches are those of another contender
            found[name].append(duration(call, counts[name]) / counts[name] / steps * 1e6)
    return {
        name: {"median": statistics.median(all_), "least": min(all_), "most": max(all_)} for name, all_ in found.items()
    }


def duration(call: Callable, count: int) -> float:
    before = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - before


def markdown(report: dict) -> str:
    names = list(next(iter(report["rows"]))["times"])
    lines = [
        f"A time step of {LAYERS} layers of {WIDTH} channels, float32; {report['machine']}, "
        f"onnxruntime {report['onnxruntime']}.",
        "Microseconds: median of turns (least-largest), then the ratio to `multiresconv`.",
        "",
        "| batch | steps of a call | " + " | ".join(names) + " |",
        "|---" * (2 + len(names)) + "|",
    ]
    for row in report["rows"]:
        cells = []
        for name in names:
            t = row["times"][name]
            ratio = "" if name == "multiresconv" else f", {t['median'] / row['times']['multiresconv']['median']:.2f}"
            cells.append(f"{t['median']:.3g} ({t['least']:.3g}-{t['most']:.3g}){ratio}")
        lines.append(f"| {row['batch']} | {row['call']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1, help="of each contender in each row")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    model = MultiresClassifier(LABELS, d_model=WIDTH, n_layers=LAYERS, d_input=CHANNELS, kernel_size=2, depth=10).eval()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would slow the others
    sessions: dict[int | None, dict[str, Any]] = {max(CHUNKS): {}, None: {}}
    with tempfile.TemporaryDirectory() as folder:
        for chunk, found in sessions.items():
            for name, int8 in (("onnxruntime", False), ("onnxruntime int8", True)):
                file = Path(folder) / f"{chunk}-{int8}.onnx"
                to_onnx(model, file, chunk, int8=int8)
                found[name] = onnxruntime.InferenceSession(file, options)
    rows = []
    for batch in BATCHES:
        for chunk in CHUNKS:
            calls = contenders(model, sessions[max(CHUNKS)], chunk, batch)
            rows.append({"batch": batch, "call": f"{chunk:,}", "times": times(calls, chunk, args.seconds)})
        calls = whole(model, sessions[None], batch)
        rows.append({"batch": batch, "call": f"{LENGTH:,}, whole", "times": times(calls, LENGTH, args.seconds)})
    report = {"machine": describe_machine(), "onnxruntime": onnxruntime.__version__, "rows": rows}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "onnx.json").write_text(json.dumps(report, indent=2) + "\n")
    (args.out / "onnx.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
