"""Scores of a multi-label task, over all batches and processes."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from multiresconv.tasks.multilabel_ranking import auroc, average_precision
from multiresconv.tasks.task import Outcome


class MultilabelScores(Metric):
    """Areas under ROC and precision-recall curves, and F1 and exact match at a probability threshold of 0.5.

    It keeps the logits of all processes, since an area cannot be averaged over batches.
    """

    full_state_update = False
    logits: list[Tensor] | Tensor
    labels: list[Tensor] | Tensor

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        if n_labels < 2:  # `compute` returns one-element tensors as scalars, losing the shape (C,)
            raise ValueError(f"n_labels: expected at least 2, got {n_labels}")
        self.n_labels = n_labels
        self.add_state("logits", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        super().reset()
        # zero rows of the right shape, so that a process without rows can take part in the gather
        self.logits = [torch.zeros(0, self.n_labels, device=self.device)]
        self.labels = [torch.zeros(0, self.n_labels, device=self.device, dtype=torch.uint8)]

    def update(self, outcome: Outcome, batch: Any) -> None:
        assert isinstance(self.logits, list)
        assert isinstance(self.labels, list)
        self.logits.append(outcome.outputs.detach().float())
        self.labels.append(batch.labels.to(torch.uint8))

    def compute(self) -> dict[str, Tensor]:
        """Compute all scores; a scored class is one with both positive and negative rows. Means over none are NaN.

        Returns:
            Scalars: loss (mean over rows and labels); n; n_classes_scored; macro_auroc, macro_average_precision and
            macro_f1 (means over scored classes); micro_f1; exact_match (share of rows with all labels right).
            Per class, (C,): positives, auroc, average_precision, f1; NaN if undefined.
            Logits and labels, (n, C).

        Raises:
            ValueError: a logit is not finite, or there is no row.
        """
        logits, labels = dim_zero_cat(self.logits).cpu(), dim_zero_cat(self.labels).cpu()
        if not torch.isfinite(logits).all():
            raise ValueError(f"logits: expected finite ones, got {int((~torch.isfinite(logits)).sum())} that are not")
        n, positives = len(labels), labels.sum(0, dtype=torch.int64)
        scored = (positives > 0) & (positives < n)
        if not n:
            raise ValueError("labels: expected at least one row to score, got none")
        columns = list(zip(logits.numpy().T, labels.numpy().T, strict=True))
        areas = torch.from_numpy(np.concatenate([auroc(*column) for column in columns]))
        precisions = torch.tensor([average_precision(*column) for column in columns], dtype=torch.float64, device="cpu")
        named = logits >= 0
        right = (named & labels.bool()).sum(0).double()
        f1 = 2 * right / (named.sum(0) + positives)  # NaN if a label neither occurs nor is predicted
        return {
            "loss": F.binary_cross_entropy_with_logits(logits.double(), labels.double()),
            "macro_auroc": areas[scored].mean(),
            "macro_average_precision": precisions[scored].mean(),
            "macro_f1": f1[scored].mean(),
            "micro_f1": 2 * right.sum() / (named.sum() + positives.sum()),
            "exact_match": (named == labels.bool()).all(1).double().mean(),
            "n": torch.tensor(n, device="cpu"),
            "n_classes_scored": scored.sum(),
            "positives": positives,
            "auroc": areas,
            "average_precision": precisions,
            "f1": f1,
            "logits": logits,
            "labels": labels,
        }
