"""Sequences split in time over processes: outputs and gradients of one process."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from seeded import spawn
from torch import Tensor

from multiresconv.models import MultiresNet, sequence_parallel

DOUBLE = torch.float64
# Options of the net, batch, and the lengths of the parts of three processes
CASES: list[tuple[dict[str, Any], int, tuple[int, ...]]] = [
    ({"d_input": 2, "depth": 3}, 2, (9, 5, 6)),
    ({"d_input": 1, "depth": 5, "kernel_size": 4, "norm_first": True}, 1, (3, 1, 30)),  # shorter than the state
    ({"n_tokens": 5, "depth": 4, "memory": 9}, 3, (17, 20, 2)),
    ({"d_input": 2, "memory": (0, 3, 1), "norm": "batch", "projection": True}, 2, (40, 1, 8)),
]


def build(case: int) -> tuple[MultiresNet, Tensor, Tensor]:
    """A net, its input and the gradient of its features, the same in every process."""
    options, batch, lengths = CASES[case]
    torch.manual_seed(case)
    net = MultiresNet(6, 3, dtype=DOUBLE, **options)
    if options.get("norm") == "batch":
        for name, buffer in net.eval().named_buffers():
            if "running" in name:
                buffer.uniform_(0.5, 2)
    n = sum(lengths)
    tokens = "n_tokens" in options
    x = torch.randint(5, (batch, n)) if tokens else torch.randn(batch, n, options["d_input"], dtype=DOUBLE)
    return net, x, torch.randn(batch, n, 6, dtype=DOUBLE)


def gradients(net: MultiresNet, x: Tensor) -> list[Tensor]:
    return [t.grad for t in (x, *net.parameters()) if t.grad is not None]


def start(rank: int, file: str, processes: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=processes)


def one_of_three(rank: int, folder: str) -> None:
    """A process with its part of each case. Saves what came out."""
    start(rank, f"{folder}/rendezvous", 3)
    out = []
    for case, (_, _, lengths) in enumerate(CASES):
        net, x, grad = build(case)
        x, grad = x.split(lengths, 1)[rank].clone(), grad.split(lengths, 1)[rank]
        with torch.no_grad():
            kernel = sequence_parallel(net, x)
        if x.is_floating_point():
            x.requires_grad_()
        features = sequence_parallel(net, x)
        features.backward(grad)
        out.append([features.detach(), kernel, *gradients(net, x)])
        for parameter in net.parameters():
            parameter.requires_grad_(False)
        assert not sequence_parallel(net, x.detach()).requires_grad  # nobody waits for a gradient
    torch.save(out, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_three_processes_are_one(tmp_path: Path) -> None:
    spawn(one_of_three, str(tmp_path), processes=3)
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(3)]
    for case in range(len(CASES)):
        net, x, grad = build(case)
        if x.is_floating_point():
            x.requires_grad_()
        features = net(x)
        features.backward(grad)
        wanted = gradients(net, x)
        found = [torch.cat(parts, 1) for parts in zip(*(rank[case][:2] for rank in ranks), strict=True)]
        torch.testing.assert_close(found, [features.detach()] * 2, rtol=0, atol=1e-10)
        of_ranks = list(zip(*(rank[case][2:] for rank in ranks), strict=True))
        if x.is_floating_point():
            of_ranks[0] = (torch.cat(of_ranks[0], 1),)
        assert len(of_ranks) == len(wanted)
        for parts, whole in zip(of_ranks, wanted, strict=True):
            torch.testing.assert_close(sum(parts), whole, rtol=0, atol=1e-10 * max(1.0, float(whole.abs().max())))


def one_of_two_that_differ(rank: int, folder: str) -> None:
    """Process 1 differs from process 0 and has to say so; process 0 then fails too, when the other has gone."""
    for what in ("gradients", "rows"):
        start(rank, f"{folder}/{what}", 2)
        net, x, _ = build(0)
        refused: list[tuple[dict[str, Any], str]] = [
            ({"dropout": 0.5}, "dropout is active"),
            ({"bidirectional": True}, "bidirectional"),
        ]
        for option, message in refused:
            unfit = MultiresNet(6, 2, d_input=2, depth=3, dtype=DOUBLE, **option)
            with pytest.raises(RuntimeError, match=message):  # in both, before anything is sent
                sequence_parallel(unfit, x)
        if rank == 0:
            with pytest.raises(RuntimeError):
                sequence_parallel(net, x)
        elif what == "gradients":
            with torch.no_grad(), pytest.raises(RuntimeError, match="off here, on in the process before, rank 0; call"):
                sequence_parallel(net, x)
        else:
            with pytest.raises(ValueError, match=r"rank 0, \(2, 3, 7, 6\), got \(1, 3, 7, 6\); give every process"):
                sequence_parallel(net, x[:1])
        dist.destroy_process_group()


@pytest.mark.slow
def test_processes_that_differ_are_refused(tmp_path: Path) -> None:
    spawn(one_of_two_that_differ, str(tmp_path), processes=2)


def test_without_a_process_group_it_says_what_to_call() -> None:
    net, x, _ = build(0)
    with pytest.raises(RuntimeError, match=r"group: there is none; call torch\.distributed\.init_process_group first"):
        sequence_parallel(net, x)
