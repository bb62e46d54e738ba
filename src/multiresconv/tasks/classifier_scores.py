"""Scores of a classifier, summed over batches and processes."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from multiresconv.tasks.task import Outcome


class ClassifierScores(Metric):
    """Mean loss, accuracy, number of rows and the confusion counts (C, C), indexed [true, predicted].

    It keeps sums, not means, so the result does not depend on how rows are distributed over batches and processes.
    """

    full_state_update = False
    loss_sum: Tensor
    confusion: Tensor

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64, device="cpu"), dist_reduce_fx="sum")
        self.add_state(
            "confusion", torch.zeros(n_classes, n_classes, dtype=torch.int64, device="cpu"), dist_reduce_fx="sum"
        )

    def update(self, outcome: Outcome, batch: Any) -> None:
        self.loss_sum += outcome.losses.double().sum()
        pairs = batch.labels * self.n_classes + outcome.outputs.argmax(1)
        self.confusion += torch.bincount(pairs, minlength=self.n_classes**2).view_as(self.confusion)

    def compute(self) -> dict[str, Tensor]:
        n = self.confusion.sum()
        return {
            "loss": self.loss_sum / n,
            "accuracy": self.confusion.diagonal().sum().double() / n,
            "n": n,
            "confusion": self.confusion,
        }
