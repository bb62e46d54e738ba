"""Scores of regressions and forecasts of two processes, whose shares are uneven, are those of one."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from seeded import spawn
from torch import Tensor

from multiresconv.tasks.forecast_scores import ForecastBatch, ForecastScores
from multiresconv.tasks.regression_scores import RegressionScores
from multiresconv.tasks.task import Outcome

pytestmark = pytest.mark.slow

SHARES = [[[(0, 7), (7, 10), (10, 31)], [(31, 40)]], [[(0, 40)], []]]  # batches of the first and the second process


def scores_of(batches: list[tuple[int, int]]) -> list[dict[str, Tensor]]:
    random = torch.Generator().manual_seed(5)
    values, y = torch.randn(40, 9, 2, generator=random), torch.randn(40, 3, 2, 3, generator=random).sort(-1).values
    origin = torch.arange(40)
    batch = ForecastBatch(values[:, :6], values[:, 6:], torch.ones(40, 2), origin % 3, origin)
    regression, forecasts = RegressionScores(2), ForecastScores(3, 2, (0.1, 0.5, 0.9), season=2)
    for start, end in batches:
        losses = y[start:end, 0, 0, 0]
        targets = SimpleNamespace(targets=values[start:end, 0])
        regression.update(Outcome(losses, None, y[start:end, 0, :, 0]), targets)
        forecasts.update(Outcome(losses, None, y[start:end]), ForecastBatch(*(field[start:end] for field in batch)))
    return [regression.compute(), forecasts.compute()]


def one_of_two(rank: int, folder: str) -> None:
    """A process with its share of the rows. Saves what came out."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save([scores_of(shares[rank]) for shares in SHARES], f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_are_one(tmp_path: Path) -> None:
    spawn(one_of_two, str(tmp_path), processes=2)
    expected = scores_of([(0, 40)])
    for rank in (0, 1):
        for found in torch.load(tmp_path / f"{rank}.pt", weights_only=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
