"""Scores of a regression, over all batches and processes."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from multiresconv.tasks.task import Outcome


class RegressionScores(Metric):
    """Mean absolute error, root mean squared error and R2 of each target.

    It keeps the predictions and targets of all processes, for the picture and the intervals of the report.
    """

    full_state_update = False
    predictions: list[Tensor] | Tensor
    targets: list[Tensor] | Tensor
    loss_sum: Tensor

    def __init__(self, n_targets: int) -> None:
        super().__init__()
        if n_targets < 1:
            raise ValueError(f"n_targets: expected at least 1, got {n_targets}")
        self.n_targets = n_targets
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64, device="cpu"), dist_reduce_fx="sum")
        self.add_state("predictions", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        super().reset()
        # zero rows of the right shape, so that a process without rows can take part in the gather
        self.predictions = [torch.zeros(0, self.n_targets, device=self.device)]
        self.targets = [torch.zeros(0, self.n_targets, device=self.device)]

    def update(self, outcome: Outcome, batch: Any) -> None:
        assert isinstance(self.predictions, list)
        assert isinstance(self.targets, list)
        self.loss_sum += outcome.losses.double().sum()
        self.predictions.append(outcome.outputs.detach().float())
        self.targets.append(batch.targets.float())

    def compute(self) -> dict[str, Tensor]:
        """Compute all scores. R2 is NaN where all targets are equal.

        Returns:
            Scalars: loss; n; r2 (mean over the targets that have one).
            Per target, (T,), or a scalar for one target: mae, rmse, in the unit of the target; r2_by_target.
            Predictions and targets, (n, T).

        Raises:
            ValueError: a prediction or target is not finite.
        """
        predictions, targets = dim_zero_cat(self.predictions).cpu(), dim_zero_cat(self.targets).cpu()
        for name, values in (("predictions", predictions), ("targets", targets)):
            if not values.isfinite().all():
                raise ValueError(f"{name}: expected finite ones, got {int((~values.isfinite()).sum())} that are not")
        errors, truth = (predictions - targets).double(), targets.double()
        variance = truth.var(0, correction=0).where((truth != truth[:1]).any(0), torch.nan)
        r2 = 1 - errors.square().mean(0) / variance
        return {
            "loss": self.loss_sum.cpu() / len(errors),
            "n": torch.tensor(len(errors), device="cpu"),
            "r2": r2.nanmean(),
            "mae": errors.abs().mean(0),
            "rmse": errors.square().mean(0).sqrt(),
            "r2_by_target": r2,
            "predictions": predictions,
            "targets": targets,
        }
