"""Scores of a task in which every row has any number of labels, over all batches and processes."""

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
    """Areas under ROC and precision-recall curves, and what a threshold of probability 0.5 makes of the logits.

    The logits are kept, and those of all processes put together, as no area is a mean over batches.
    """

    full_state_update = False
    logits: list[Tensor] | Tensor
    labels: list[Tensor] | Tensor

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        if n_labels < 2:  # `compute` gives what has one element as a scalar, which could be anything
            raise ValueError(f"n_labels: expected at least 2, got {n_labels}")
        self.n_labels = n_labels
        self.add_state("logits", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        super().reset()
        # no rows, but of the right shape: a process that gets none has something to send to the others
        self.logits = [torch.zeros(0, self.n_labels, device=self.device)]
        self.labels = [torch.zeros(0, self.n_labels, device=self.device, dtype=torch.uint8)]

    def update(self, outcome: Outcome, batch: Any) -> None:
        assert isinstance(self.logits, list)
        assert isinstance(self.labels, list)
        self.logits.append(outcome.outputs.detach().float())
        self.labels.append(batch.labels.to(torch.uint8))

    def compute(self) -> dict[str, Tensor]:
        """Scalars: loss, the mean over rows and labels; n; n_classes_scored, those classes with both outcomes;
        macro_auroc, macro_average_precision and macro_f1, the means over these; micro_f1; exact_match, the share of
        rows with all labels right.

        By class (C,): positives, auroc and average_precision, NaN where undefined, and f1. Logits and labels (n, C).

        Raises:
            ValueError: a logit is not finite, or no class has both outcomes.
        """
        logits, labels = dim_zero_cat(self.logits).cpu(), dim_zero_cat(self.labels).cpu()
        if not torch.isfinite(logits).all():
            raise ValueError(f"logits: expected finite ones, got {int((~torch.isfinite(logits)).sum())} that are not")
        n, positives = len(labels), labels.sum(0, dtype=torch.int64)
        scored = (positives > 0) & (positives < n)
        if not scored.any():
            raise ValueError(
                f"labels: none of {self.n_labels} occurs in some of the {n} rows but not in all, so that there is no "
                "AUROC; score more rows, or a set of more frequent labels"
            )
        columns = list(zip(logits.numpy().T, labels.numpy().T, strict=True))
        areas = torch.from_numpy(np.concatenate([auroc(*column) for column in columns]))
        precisions = torch.tensor([average_precision(*column) for column in columns], dtype=torch.float64)
        named = logits >= 0
        right = (named & labels.bool()).sum(0).double()
        f1 = 2 * right / (named.sum(0) + positives)  # NaN where a label neither occurs nor is named
        return {
            "loss": F.binary_cross_entropy_with_logits(logits.double(), labels.double()),
            "macro_auroc": areas[scored].mean(),
            "macro_average_precision": precisions[scored].mean(),
            "macro_f1": f1[scored].mean(),
            "micro_f1": 2 * right.sum() / (named.sum() + positives.sum()),
            "exact_match": (named == labels.bool()).all(1).double().mean(),
            "n": torch.tensor(n),
            "n_classes_scored": scored.sum(),
            "positives": positives,
            "auroc": areas,
            "average_precision": precisions,
            "f1": f1,
            "logits": logits,
            "labels": labels,
        }
