"""A task of your own, in a file outside the package.

    multiresconv train examples/my_tasks.py:Pressure --data.table labels.csv --data.target pressure --run runs/pressure
    multiresconv evaluate runs/pressure --task examples/my_tasks.py:Pressure

A task is any class with the methods of `multiresconv.tasks.Task`. Its constructor takes dataclasses,
whose fields become options of the command line. This one changes one thing about `Regress`: large errors count less.
"""

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F

from multiresconv.data.recordings import TableData
from multiresconv.tasks import Outcome, RecordingModelOptions, Regress


@dataclass(frozen=True)
class PressureOptions:
    """How errors count.

    Args:
        delta: errors of more standard deviations than this count linearly, smaller ones by their square.
    """

    delta: float = 1.0


class Pressure(Regress):
    """Predict numbers of recordings, with a loss that outliers do not dominate."""

    name = "pressure"

    def __init__(self, data: TableData, task: PressureOptions, model: RecordingModelOptions) -> None:
        super().__init__(data, model)
        self.task = task

    def run(self, model: Any, batch: Any) -> Outcome:
        outcome = super().run(model, batch)
        scaled = model.target_standardise
        losses = F.huber_loss(scaled(outcome.outputs), scaled(batch.labels), reduction="none", delta=self.task.delta)
        return outcome._replace(losses=losses.mean(1))
