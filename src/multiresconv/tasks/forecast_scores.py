"""Scores of a forecaster and of naive forecasts from the same origins, over all batches and processes."""

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from multiresconv.tasks.forecast_measures import SUMS, measures, middle, pinball
from multiresconv.tasks.naive_forecasts import drift, seasonal_naive
from multiresconv.tasks.task import Outcome


class ForecastBatch(NamedTuple):
    """Origins of forecasts and what came after them, in raw units; missing values are NaN.

    Attributes:
        past: (n, L, C) values up to each origin, for the naive forecasts.
        future: (n, horizon, C) values after each origin.
        scale: (n, C) `seasonal_scale` of the training part.
        series: (n,) int64 number of the series that an origin belongs to.
        origin: (n,) int64 time step of each origin in its series.
    """

    past: Tensor
    future: Tensor
    scale: Tensor
    series: Tensor
    origin: Tensor


class ForecastScores(Metric):
    """Errors of a forecaster and of two naive forecasts, by channel, by step of the horizon and by origin.

    A value counts if it is there and all forecasts of it are: the models are compared on the same values. It keeps
    sums by origin and channel, for the intervals of the report, not the forecasts.
    """

    full_state_update = False
    loss_sum: Tensor
    by_step: Tensor
    by_origin: list[Tensor] | Tensor
    places: list[Tensor] | Tensor

    def __init__(self, horizon: int, n_channels: int, quantiles: tuple[float, ...] = (), season: int = 1) -> None:
        super().__init__()
        self.shape = (horizon, n_channels)
        self.quantiles, self.season = quantiles, season
        by_step = torch.zeros(horizon, n_channels, len(SUMS), dtype=torch.float64, device="cpu")
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64, device="cpu"), dist_reduce_fx="sum")
        self.add_state("by_step", by_step, dist_reduce_fx="sum")
        self.add_state("by_origin", [], dist_reduce_fx="cat")
        self.add_state("places", [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        super().reset()
        # zero rows of the right shape, so that a process without rows can take part in the gather
        self.by_origin = [torch.zeros(0, self.shape[1], len(SUMS), dtype=torch.float64, device=self.device)]
        self.places = [torch.zeros(0, 2, dtype=torch.int64, device=self.device)]

    def update(self, outcome: Outcome, batch: ForecastBatch) -> None:
        """Add the forecasts `outcome.outputs` (n, horizon, C, Q) of a batch.

        Raises:
            ValueError: a forecast is not finite or has another shape.
        """
        assert isinstance(self.by_origin, list)
        assert isinstance(self.places, list)
        forecasts = outcome.outputs.detach().double()
        wanted = (len(batch.future), *self.shape, max(len(self.quantiles), 1))
        if forecasts.shape != wanted:
            raise ValueError(f"forecasts: expected shape {wanted}, got {tuple(forecasts.shape)}")
        if not forecasts.isfinite().all():
            raise ValueError(f"forecasts: expected finite ones, got {int((~forecasts.isfinite()).sum())} that are not")
        sums = self._measure(forecasts, batch)
        self.loss_sum += outcome.losses.double().sum()
        self.by_step += sums.sum(0)
        self.by_origin.append(sums.sum(1))
        self.places.append(torch.stack([batch.series, batch.origin], dim=1).to(sums.device))

    def _measure(self, forecasts: Tensor, batch: ForecastBatch) -> Tensor:
        """Return the terms (n, horizon, C, len(SUMS)) that are summed; all 0 for values that do not count."""
        past, future, scale = (tensor.double() for tensor in (batch.past, batch.future, batch.scale))
        naive = {
            "seasonal_naive": seasonal_naive(past, self.shape[0], self.season),
            "drift": drift(past, self.shape[0]),
        }
        counted = future.isfinite()
        for points in naive.values():
            counted = counted & points.isfinite()
        scalable = counted & (scale > 0)[:, None]  # not where it is NaN
        terms = {
            "count": counted,
            "scaled_count": scalable,
            "covered": (forecasts[..., 0] <= future) & (future <= forecasts[..., -1]),
            "width": forecasts[..., -1] - forecasts[..., 0],
        }
        for model, outputs in {"model": forecasts, **{name: y.unsqueeze(-1) for name, y in naive.items()}}.items():
            error = future - outputs[..., middle(self.quantiles) if model == "model" else 0]
            terms[f"{model}_pinball"] = pinball(outputs, future, self.quantiles)
            terms[f"{model}_absolute"] = error.abs()
            terms[f"{model}_square"] = error.square()
            terms[f"{model}_scaled"] = (error.abs() / scale[:, None]).where(scalable, 0)
        return torch.stack([terms[name].double().where(counted, 0) for name in SUMS], dim=-1)

    def compute(self) -> dict[str, Tensor]:
        """Compute all scores; NaN if undefined. Origins are in the order of series and time.

        Returns:
            Scalars: loss; n, the number of origins; mase and seasonal_naive_mase, means over the channels that have
            one; coverage, the share of values from the lowest to the highest quantile.
            by_step (horizon, C, len(SUMS)) and by_origin (n, C, len(SUMS)): sums for `measures`.
            places (n, 2): number of the series and time step of each origin.
        """
        places = dim_zero_cat(self.places).cpu().reshape(-1, 2)
        by_origin = dim_zero_cat(self.by_origin).cpu()
        order = torch.argsort(places[:, 1], stable=True)
        order = order[torch.argsort(places[order, 0], stable=True)]
        by_channel = measures(self.by_step.cpu().sum(0))
        return {
            "loss": self.loss_sum.cpu() / len(places),
            "n": torch.tensor(len(places), device="cpu"),
            "mase": by_channel["model_mase"].nanmean(),
            "seasonal_naive_mase": by_channel["seasonal_naive_mase"].nanmean(),
            "coverage": measures(self.by_step.cpu().sum((0, 1)))["coverage"],
            "by_step": self.by_step.cpu(),
            "by_origin": by_origin[order],
            "places": places[order],
        }
