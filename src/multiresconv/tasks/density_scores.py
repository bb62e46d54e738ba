"""Scores of a density model, summed over batches and processes."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from multiresconv.tasks.task import Outcome


class DensityScores(Metric):
    """Mean bits per dimension over rows (which is also the loss), its standard error, and the number of rows.

    It keeps sums, not means, so the result does not depend on how rows are distributed over batches and processes.
    """

    full_state_update = False
    total: Tensor
    squares: Tensor
    n: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "squares", "n"):
            self.add_state(name, torch.zeros((), dtype=torch.float64, device="cpu"), dist_reduce_fx="sum")

    def update(self, outcome: Outcome, batch: Any) -> None:
        bits = outcome.losses.double()
        self.total += bits.sum()
        self.squares += bits.square().sum()
        self.n += len(bits)

    def compute(self) -> dict[str, Tensor]:
        mean = self.total / self.n
        variance = (self.squares / self.n - mean.square()).clamp(min=0) * self.n / (self.n - 1).clamp(min=1)
        return {
            "loss": mean,
            "bits_per_dim": mean,
            "standard_error": (variance / self.n).sqrt(),
            "n": self.n.long(),
        }
