"""`Regress`: one or several numbers per recording, for users' own recordings."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.data.recordings import TableData
from multiresconv.models import MultiresRegressor, Output
from multiresconv.tasks.recording_options import RecordingModelOptions
from multiresconv.tasks.recording_task import RecordingBatch, RecordingTask
from multiresconv.tasks.regression import regress, regression_report, regression_table
from multiresconv.tasks.task import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multiresconv.tasks.regression_scores import RegressionScores


class Regress(RecordingTask):
    """Predict numbers of your own recordings: a table of files or a file of sequences, with columns of numbers."""

    name = "regress"
    targets = "value"
    monitor = "loss"
    maximize = False

    def __init__(self, data: TableData, model: RecordingModelOptions) -> None:
        super().__init__(data, model)

    @cached_property
    def scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation (T,) of the targets of the training rows; 1 for a constant target."""
        values = self.open("train").targets.values.astype(np.float64)
        std = values.std(0)
        return values.mean(0), np.where(std > 0, std, 1.0)

    def build(self) -> MultiresRegressor:
        model = MultiresRegressor(len(self.classes), output=Output("value", self.classes), **self.network())
        self.standardised(model)
        if not model.head.weight.is_meta:
            model.target_standardise.set(*map(torch.from_numpy, self.scale))
        return model

    def run(self, model: Any, batch: RecordingBatch) -> Outcome:
        ragged = int(batch.lengths.min()) < batch.signals.shape[1]
        return regress(model, batch.signals, batch.lengths if ragged else None, batch.labels)

    def scores(self) -> "RegressionScores":
        from multiresconv.tasks.regression_scores import RegressionScores  # torchmetrics takes seconds to import

        return RegressionScores(len(self.classes))

    def report(self, scores: Mapping[str, Tensor]) -> dict[str, Any]:
        return regression_report(scores, self.classes, self.scale[0].tolist())

    def table(self, report: Mapping[str, Any]) -> str:
        return regression_table(report)

    def figures(self, scores: Mapping[str, Tensor], title: str) -> dict[str, "Figure"]:
        from multiresconv.tasks.regression_pictures import draw_regression

        return {"scatter": draw_regression(scores, self.classes, title)}

    def told(self, outputs: Tensor, target: Any) -> str:
        pairs = zip(self.classes, np.atleast_1d(target).tolist(), outputs.tolist(), strict=True)
        return ", ".join(f"{name} {true:.4g}, predicted {given:.4g}" for name, true, given in list(pairs)[:2])
