"""`Label`: any number of labels per recording, for users' own recordings."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from multiresconv.data.recordings import TableData
from multiresconv.models import MultiresClassifier, Output
from multiresconv.tasks.multilabel import multilabel, multilabel_report, multilabel_table
from multiresconv.tasks.recording_options import RecordingModelOptions
from multiresconv.tasks.recording_task import RecordingBatch, RecordingTask
from multiresconv.tasks.task import Method, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multiresconv.tasks.multilabel_scores import MultilabelScores


@dataclass(frozen=True)
class LabelOptions:
    """How labels count.

    Args:
        class_weights: balanced weights, for each label, the rows that have it as much as the rows that have it not,
            however rare it is; null weights every row equally.
    """

    class_weights: Literal["balanced"] | None = None


class Label(RecordingTask):
    """Label your own recordings: a table of files or a file of sequences, with any number of labels per row."""

    name = "label"
    targets = "labels"
    monitor = "macro_auroc"
    maximize = True

    def __init__(self, data: TableData, task: LabelOptions, model: RecordingModelOptions) -> None:
        super().__init__(data, model)
        self.task = task

    @cached_property
    def weights(self) -> Tensor | None:
        """(2, C) weight in the loss of a row without and with each label, 1 on average over the training rows.

        A label that all of them have, or none, has the weights 1.
        """
        if self.task.class_weights is None:
            return None
        labels = self.open("train").targets.values
        counts = np.stack([(labels == 0).sum(0), (labels == 1).sum(0)])
        weights = np.where((counts > 0).all(0), len(labels) / (2 * np.maximum(counts, 1)), 1.0)
        return torch.from_numpy(weights.astype(np.float32))

    @property
    def methods(self) -> tuple[Method, ...]:
        """As in `RecordingTask`, but with class weights a network alone: a row counts differently for each label."""
        if self.task.class_weights is None:
            return super().methods
        if self.model.method == "ridge":
            raise ValueError(
                "task.class_weights: expected null with the method ridge, whose rows count for all labels alike"
            )
        return ("network",)

    def prepare(self, *, may_generate: bool = True) -> None:
        super().prepare()
        if len(self.classes) < 2:
            raise ValueError(
                f"target: expected at least two labels, got {', '.join(self.classes)} alone; "
                "a single yes or no is a class: multiresconv train classify"
            )

    def build(self) -> MultiresClassifier:
        model = MultiresClassifier(len(self.classes), output=Output("labels", self.classes), **self.network())
        self.standardised(model)
        return model

    def run(self, model: nn.Module, batch: RecordingBatch) -> Outcome:
        return multilabel(self.forward(model, batch), batch.labels, self.weights)

    def scores(self) -> "MultilabelScores":
        from multiresconv.tasks.multilabel_scores import MultilabelScores  # torchmetrics takes seconds to import

        return MultilabelScores(len(self.classes))

    def report(self, scores: Mapping[str, Tensor]) -> dict[str, Any]:
        return multilabel_report(scores, self.classes)

    def table(self, report: Mapping[str, Any]) -> str:
        return multilabel_table(report)

    def figures(self, scores: Mapping[str, Tensor], title: str) -> dict[str, "Figure"]:
        from multiresconv.tasks.multilabel_pictures import roc_figures

        return roc_figures(scores, self.classes, title)

    def told(self, outputs: Tensor, target: Any) -> str:
        true = [name for name, flag in zip(self.classes, target, strict=True) if flag]
        given = [name for name, logit in zip(self.classes, outputs.tolist(), strict=True) if logit > 0]
        return f"{', '.join(true[:4]) or 'none'}, predicted {', '.join(given[:4]) or 'none'}"
