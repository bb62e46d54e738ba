"""Parameters sharded by FSDP2, which frees and refills the storages that the kernels read."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from multiresconv import MultiresNet


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone: FSDP2 frees and refills there too."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def train(net: Any, x: torch.Tensor) -> torch.Tensor:
    """Return the losses of a few steps of plain gradient descent."""
    optimizer, losses = torch.optim.SGD(net.parameters(), lr=0.1), []
    for _ in range(3):
        loss = net(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


@pytest.mark.slow
def test_a_sharded_net_learns_as_a_whole_one(one_process: None) -> None:
    from torch.distributed.fsdp import fully_shard  # here, because it takes seconds to import

    net, x = MultiresNet(4, 2, d_input=3, depth=3, dtype=torch.float64), torch.randn(2, 9, 3, dtype=torch.float64)
    expected = train(copy.deepcopy(net), x)
    mesh = init_device_mesh("cpu", (1,))
    for part in (*net.blocks, net):
        fully_shard(part, mesh=mesh, reshard_after_forward=True)
    torch.testing.assert_close(train(net, x), expected)
