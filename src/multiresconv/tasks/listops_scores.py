"""Scores of ListOps: those of a classifier, and hits by length and by depth of the expressions."""

import torch
from torch import Tensor

from multiresconv.data import Batch
from multiresconv.data.listops import MAX_TOKENS, depths
from multiresconv.tasks.classifier_scores import ClassifierScores
from multiresconv.tasks.task import Outcome

# The most tokens of each group of rows; the end token counts.
LONGEST = (50, 100, 200, 300, 400, 500, 750, 1_000, 1_250, 1_500, 1_750, MAX_TOKENS)
DEEPEST = 32  # deeper expressions count as this deep


class ListOpsScores(ClassifierScores):
    """As `ClassifierScores`, and "by_length" (groups, 2) and "by_depth" (DEEPEST + 1, 2): counts of misses and hits."""

    by_length: Tensor
    by_depth: Tensor

    def __init__(self, n_classes: int) -> None:
        super().__init__(n_classes)
        for name, groups in (("by_length", len(LONGEST)), ("by_depth", DEEPEST + 1)):
            counts = torch.zeros(groups, 2, dtype=torch.int64, device="cpu")
            self.add_state(name, counts, dist_reduce_fx="sum")

    def update(self, outcome: Outcome, batch: Batch) -> None:
        super().update(outcome, batch)
        hits = outcome.outputs.argmax(1) == batch.labels
        deep = torch.from_numpy(depths(batch.tokens.cpu().numpy())).clamp(max=DEEPEST)
        groups = torch.bucketize(batch.lengths, torch.tensor(LONGEST, device=batch.lengths.device))
        for counts, group in ((self.by_length, groups), (self.by_depth, deep.to(hits.device))):
            counts += torch.bincount(2 * group + hits, minlength=counts.numel()).view_as(counts)

    def compute(self) -> dict[str, Tensor]:
        return {**super().compute(), "by_length": self.by_length, "by_depth": self.by_depth}
