"""`Classify`: one class per recording, for users' own recordings."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multiresconv.data.recordings import TableData
from multiresconv.models import MultiresClassifier, Output
from multiresconv.tasks.classification import Classification, classify
from multiresconv.tasks.recording_options import RecordingModelOptions
from multiresconv.tasks.recording_task import RecordingBatch, RecordingTask
from multiresconv.tasks.task import Outcome


@dataclass(frozen=True)
class ClassifyOptions:
    """How classes count.

    Args:
        class_weights: balanced weights every class equally in the loss, however rare it is; null weights every row
            equally.
    """

    class_weights: Literal["balanced"] | None = None


class Classify(RecordingTask, Classification):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Classify your own recordings: a table of files or a file of sequences, with one class per row."""

    name = "classify"
    targets = "class"

    def __init__(self, data: TableData, task: ClassifyOptions, model: RecordingModelOptions) -> None:
        super().__init__(data, model)
        self.task = task

    def prepare(self, *, may_generate: bool = True) -> None:
        super().prepare()
        known = np.unique(self.open("train").targets.values)
        if len(known) < 2:
            only = ", ".join(self.classes[number] for number in known)
            raise ValueError(f"{self.data.table}: expected at least two classes in the training rows, got only {only}")

    @cached_property
    def weights(self) -> Tensor | None:
        """(C,) weight of a row of each class in the loss, 1 on average over the training rows."""
        if self.task.class_weights is None:
            return None
        counts = np.bincount(self.open("train").targets.values, minlength=len(self.classes))
        present = counts > 0
        weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0)
        return torch.from_numpy(weights.astype(np.float32))

    def row_weights(self, targets: NDArray[Any]) -> NDArray[np.float64] | None:
        return None if self.weights is None else self.weights.double().numpy()[targets]

    def build(self) -> MultiresClassifier:
        model = MultiresClassifier(len(self.classes), output=Output("class", self.classes), **self.network())
        self.standardised(model)
        return model

    def run(self, model: nn.Module, batch: RecordingBatch) -> Outcome:
        outcome = classify(self.forward(model, batch), batch.labels)
        if self.weights is None:
            return outcome
        return outcome._replace(losses=outcome.losses * self.weights.to(batch.labels.device)[batch.labels])

    def told(self, outputs: Tensor, target: Any) -> str:
        probability, best = outputs.softmax(0).max(0)
        return f"{self.classes[target]}, predicted {self.classes[int(best)]} ({probability:.0%})"
