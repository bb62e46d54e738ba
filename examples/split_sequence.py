"""
Split a sequence over processes
===============================

If one sequence is too long for a machine, several processes can hold a part of its time steps each. They compute the
blocks of a network on their own part and hand the state after it to the next process, block by block; in backward, the
gradients of the states travel back. `sequence_parallel` does both. This example trains a network for some steps, in
processes that talk over gloo and in one process, and compares losses, features and gradients.

    python examples/split_sequence.py --processes 2

It starts the processes itself. On several machines `torchrun` starts them, and `init_process_group("gloo")` without
further arguments finds what torchrun says about the others.
"""

# sphinx_gallery_thumbnail_path = "examples/pictures/split_sequence.png"

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from multiresconv.models import MultiresNet, sequence_parallel

# %%
# A network and a sequence
# ------------------------
# The target of each step is the scaled sum of the last 100 inputs. With float64, differences are nothing but rounding.

WIDTH, BLOCKS, REACH = 8, 4, 100


def build() -> tuple[MultiresNet, nn.Linear]:
    """Return a network and a head, with the same parameters in every process."""
    torch.manual_seed(0)
    net = MultiresNet(WIDTH, BLOCKS, d_input=1, depth=7, dtype=torch.float64)
    return net, nn.Linear(WIDTH, 1, dtype=torch.float64)


def sequence(steps: int) -> tuple[Tensor, Tensor]:
    """Return x and its targets, (1, steps, 1)."""
    x = torch.randn(steps, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    sums = nn.functional.pad(x, (REACH, 0)).cumsum(0)
    targets = (sums[REACH:] - sums[:-REACH]) / REACH**0.5
    return x[None, :, None], targets[None, :, None]


# %%
# Training
# --------
# The same loop serves both: one process has the whole sequence, several have a part each. The loss is the mean over all
# steps, so a part contributes its sum divided by the number of all steps, and gradients are added, not averaged.


def train(
    features_of: Callable[[MultiresNet, Tensor], Tensor],
    add: Callable[[Tensor], object],
    part: slice,
    steps: int,
    updates: int,
) -> dict[str, Tensor]:
    """Train on the steps `part`; return the losses, and features and gradients of the last update.

    `features_of` computes the features of the part; `add` adds a tensor over the processes, in place.
    """
    net, head = build()
    x, target = (tensor[:, part] for tensor in sequence(steps))
    parameters = [*net.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    losses, features = [], torch.empty(0)
    for _ in range(updates):
        optimizer.zero_grad()
        features = features_of(net, x)
        loss = (head(features) - target).square().sum() / steps
        loss.backward()
        total = loss.detach()
        for tensor in (total, *(p.grad for p in parameters if p.grad is not None)):
            add(tensor)
        optimizer.step()
        losses.append(total)
    gradients = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    return {"losses": torch.stack(losses), "features": features.detach(), "gradients": gradients}


def part_of(rank: int, processes: int, steps: int) -> slice:
    """Return the steps of a process."""
    return slice(steps * rank // processes, steps * (rank + 1) // processes)


def one_process(rank: int, processes: int, steps: int, updates: int, folder: str) -> None:
    """Train in one of several processes; write what it found into the folder."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=processes)
    found = train(sequence_parallel, dist.all_reduce, part_of(rank, processes, steps), steps, updates)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


# %%
# Compare
# -------


def difference(one: Tensor, other: Tensor) -> float:
    """Return the length of the difference, divided by that of `one`."""
    return float((one - other).norm() / one.norm())


def main() -> None:
    parser = argparse.ArgumentParser(description="Split a sequence over processes.")
    parser.add_argument("--processes", type=int, default=2, help="number of processes")
    parser.add_argument("--folder", type=Path, default=Path("runs/split-sequence"), help="folder to write")
    parser.add_argument("--short", action="store_true", help="take a short sequence and few updates")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    steps, updates = (300, 3) if options.short else (4000, 60)

    with tempfile.TemporaryDirectory() as folder:
        spawn(one_process, (options.processes, steps, updates, folder), nprocs=options.processes)
        parts = [torch.load(f"{folder}/{rank}.pt", weights_only=True) for rank in range(options.processes)]
    whole = train(lambda net, x: net(x), lambda tensor: None, slice(None), steps, updates)

    features = torch.cat([part["features"] for part in parts], dim=1)
    print(f"{steps:,} steps, {updates} updates: {options.processes} processes against one")
    for name, one, several in (
        ("losses", whole["losses"], parts[0]["losses"]),
        ("features", whole["features"], features),
        ("gradients", whole["gradients"], parts[0]["gradients"]),
    ):
        print(f"  {name} differ by {difference(one, several):.0e}")
    draw(options.folder / "split.png", whole, parts)


def draw(path: Path, whole: dict[str, Tensor], parts: list[dict[str, Tensor]]) -> None:
    """Draw the losses, and the first feature around the border of the first two processes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5), layout="constrained")
    left.plot(whole["losses"], color="black", label="one process")
    left.plot(parts[0]["losses"], color="tab:orange", linestyle="--", label=f"{len(parts)} processes")
    left.set(xlabel="update", ylabel="mean squared error")
    left.legend()
    border = parts[0]["features"].shape[1]
    shown = range(border - 60, border + 60)
    right.plot(shown, whole["features"][0, shown, 0], color="black", linewidth=3, alpha=0.3, label="one process")
    for rank, steps in enumerate((shown[:60], shown[60:])):
        start = 0 if rank == 0 else border
        right.plot(steps, parts[rank]["features"][0, [step - start for step in steps], 0], label=f"process {rank}")
    right.set(xlabel="step", ylabel="first feature")
    right.legend()
    figure.savefig(path, dpi=75)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()
