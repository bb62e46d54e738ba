"""A whole training step on this CPU: three networks of the paper, compared with plain PyTorch versions.

    python benchmarks/bench_step.py [--threads 2] [--repeats 7] [--out benchmarks/results] [--losses 50]

A step is forward, loss, backward and AdamW (fused), with dropout, on random input of full length. "plain" is
`plain_network.py` in this folder: one conv1d per scale and filter, like the published code. "bf16" is autocast to
bfloat16. Times are medians of single steps, measured in turns. The networks start from equal parameters and seeds, and
their losses over the first 50 steps are compared. Memory is the growth of peak resident memory during the first full
step of a process; a step on short sequences loads the libraries before. Inference runs whole sequences without
gradients.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from plain_network import PlainClassifier
from torch import Tensor, nn

from multiresconv import MultiresClassifier
from multiresconv.bench.machine import describe_machine
from multiresconv.bench.memory import peak_extra_memory
from multiresconv.bench.timing import take_turns

# Name -> options of the classifier, batch, length.
NETWORKS: dict[str, tuple[dict[str, Any], int, int]] = {
    "ListOps 10 x 128, K 4, batch norm": (
        {
            "d_output": 10,
            "d_model": 128,
            "n_layers": 10,
            "n_tokens": 16,
            "kernel_size": 4,
            "norm": "batch",
            "dropout": 0.1,
        },
        8,
        2048,
    ),
    "PTB-XL 6 x 128, K 2": (
        {"d_output": 71, "d_model": 128, "n_layers": 6, "d_input": 12, "kernel_size": 2, "dropout": 0.2},
        16,
        1000,
    ),
    "sCIFAR 10 x 256, K 2": (
        {"d_output": 10, "d_model": 256, "n_layers": 10, "d_input": 3, "kernel_size": 2, "dropout": 0.25},
        8,
        1024,
    ),
}
DEPTH = 10
# Milliseconds per sample of the published code on a machine of this kind.
PUBLISHED = {"ListOps 10 x 128, K 4, batch norm": 386.0, "PTB-XL 6 x 128, K 2": 143.0, "sCIFAR 10 x 256, K 2": 391.0}
INFERENCE_BATCHES = (1, 64)


def build(name: str, plain: bool) -> nn.Module:
    torch.manual_seed(0)
    model = MultiresClassifier(depth=DEPTH, **NETWORKS[name][0])
    return PlainClassifier(model) if plain else model


def inputs(name: str, batch: int, length: int) -> tuple[Tensor, Tensor]:
    """Return random sequences and targets."""
    options, *_ = NETWORKS[name]
    draw = torch.Generator().manual_seed(1)
    if "n_tokens" in options:
        x = torch.randint(options["n_tokens"], (batch, length), generator=draw)
    else:
        x = torch.randn(batch, length, options["d_input"], generator=draw)
    if name.startswith("PTB-XL"):  # several labels per sequence
        return x, (torch.rand(batch, options["d_output"], generator=draw) < 0.1).float()
    return x, torch.randint(options["d_output"], (batch,), generator=draw)


def training(name: str, plain: bool = False, half: bool = False, length: int | None = None) -> Callable[[], float]:
    """Return a function that takes one training step and returns the loss; `length` replaces the network's own."""
    _, batch, usual_length = NETWORKS[name]
    model = build(name, plain).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    x, target = inputs(name, batch, length or usual_length)
    loss_of = F.binary_cross_entropy_with_logits if target.is_floating_point() else F.cross_entropy

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = model(x)
        loss = loss_of(logits.float(), target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def losses(name: str, plain: bool, steps: int) -> list[float]:
    step = training(name, plain)
    torch.manual_seed(2)  # for dropout
    return [step() for _ in range(steps)]


def inference(name: str, batch: int, plain: bool = False) -> Callable[[], None]:
    model, (x, _) = build(name, plain).eval(), inputs(name, batch, NETWORKS[name][2])

    def run() -> None:
        with torch.inference_mode():
            model(x)

    return run


def per_sample(times: dict[str, Any], batch: int) -> dict[str, list[float]]:
    """Return contender -> milliseconds per sample: median, lower and upper quartile."""
    return {name: [1e3 * t / batch for t in (of.median, of.low, of.high)] for name, of in times.items()}


def measure(name: str, repeats: int, steps: int, say: Callable[[str], None]) -> dict[str, Any]:
    batch = NETWORKS[name][1]
    say(f"{name}: steps")
    contenders = {"plain": training(name, plain=True), "ours": training(name), "ours, bf16": training(name, half=True)}
    row: dict[str, Any] = {"batch": batch, "length": NETWORKS[name][2]}
    row["step"] = per_sample(take_turns(contenders, repeats=repeats, budget=60.0), batch)
    del contenders
    for size in INFERENCE_BATCHES:
        say(f"{name}: inference, batch {size}")
        contenders = {"plain": inference(name, size, plain=True), "ours": inference(name, size)}
        row[f"inference, batch {size}"] = per_sample(take_turns(contenders, repeats=repeats, budget=20.0), size)
    say(f"{name}: memory")
    row["memory"] = {}
    for contender in ("plain", "ours", "ours, bf16"):
        command = [sys.executable, __file__, "--threads", str(torch.get_num_threads()), "--memory-of", name, contender]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        row["memory"][contender] = json.loads(out.splitlines()[-1])
    if steps:
        say(f"{name}: losses of {steps} steps")
        ours, plain = losses(name, False, steps), losses(name, True, steps)
        row["losses"] = {"plain": plain, "ours": ours}
    return row


def geometric_mean(values: list[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).log().mean().exp())


def markdown(report: dict[str, Any]) -> str:
    rows = report["networks"]
    lines = [
        f"{report['machine']}. Milliseconds per sample, median (quartiles) [how many times as fast as plain].",
        "",
        "| training step | batch, length | plain | ours, float32 | ours, bf16 autocast |",
        "|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        plain = row["step"]["plain"][0]
        cells = [_cell(row["step"][key], plain) for key in ("plain", "ours", "ours, bf16")]
        lines.append(f"| {name} | {row['batch']}, {row['length']} | " + " | ".join(cells) + " |")
    for key in ("ours", "ours, bf16"):
        here = geometric_mean([row["step"]["plain"][0] / row["step"][key][0] for row in rows.values()])
        published = geometric_mean([PUBLISHED[name] / row["step"][key][0] for name, row in rows.items()])
        lines.append(
            f"\n{key}: {here:.1f} times as fast as plain here, {published:.1f} times the published code's "
            "386, 143 and 391 ms of a machine of this kind (geometric means)."
        )
    lines += ["", "| inference | " + " | ".join(f"batch {n}: plain | ours" for n in INFERENCE_BATCHES) + " |"]
    lines.append("|---" * (1 + 2 * len(INFERENCE_BATCHES)) + "|")
    for name, row in rows.items():
        cells = []
        for n in INFERENCE_BATCHES:
            of = row[f"inference, batch {n}"]
            cells += [_cell(of["plain"], of["plain"][0]), _cell(of["ours"], of["plain"][0])]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "| peak memory of a step, MiB | plain | ours | ours, bf16 | ours : plain |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        if None not in row["memory"].values():
            plain, ours, half = (row["memory"][key] / 2**20 for key in ("plain", "ours", "ours, bf16"))
            lines.append(f"| {name} | {plain:.0f} | {ours:.0f} | {half:.0f} | 1 : {plain / ours:.1f} |")
    for name, row in rows.items():
        if pair := row.get("losses"):
            apart = max(abs(a - b) for a, b in zip(pair["plain"], pair["ours"], strict=True))
            ends = f"{pair['plain'][0]:.4f} to {pair['plain'][-1]:.4f}"
            lines.append(
                f"\n{name}: loss over {len(pair['plain'])} steps {ends}, at most {apart:.1e} apart in float32."
            )
    return "\n".join(lines) + "\n"


def _cell(times: list[float], plain: float) -> str:
    median, low, high = times
    return f"{median:.1f} ({low:.1f}-{high:.1f})" + (f" [{plain / median:.1f}x]" if median != plain else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--losses", type=int, default=50, help="steps over which losses are compared")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)  # this process measures one contender
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        name, contender = args.memory_of
        plain, half = contender == "plain", contender.endswith("bf16")
        training(name, plain, half, length=64)()
        print(json.dumps(peak_extra_memory(training(name, plain, half))))
        return
    report: dict[str, Any] = {"machine": describe_machine(), "networks": {}}
    for name in NETWORKS:
        report["networks"][name] = measure(name, args.repeats, args.losses, lambda line: print(line, file=sys.stderr))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "step.json").write_text(json.dumps(report, indent=2) + "\n")
    (args.out / "step.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
