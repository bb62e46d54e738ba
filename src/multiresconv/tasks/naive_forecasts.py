"""Forecasts without a model, to compare models with: seasonal naive and drift; missing values are NaN."""

import torch
from torch import Tensor


def seasonal_naive(past: Tensor, horizon: int, season: int = 1) -> Tensor:
    """Repeat the last season: (..., L, C) -> (..., horizon, C). With a season of 1 that is the last value.

    A missing value of the last season is replaced by the one before it in time, or else by the first one that is there.

    Raises:
        ValueError: the past is shorter than the season, or season or horizon are below 1.
    """
    _check(past, horizon, season)
    last = _filled(past)[..., -season:, :]
    steps = torch.arange(horizon, device=past.device) % season
    return last.index_select(-2, steps)


def drift(past: Tensor, horizon: int) -> Tensor:
    """Continue the line through the first and the last value: (..., L, C) -> (..., horizon, C).

    First and last are those that are there. With a single value the forecast is that value.
    """
    _check(past, horizon, 1)
    length = past.shape[-2]
    steps = torch.arange(length, device=past.device)[:, None].expand_as(past)
    there = ~past.isnan()
    first = steps.where(there, length - 1).amin(-2, keepdim=True)
    last = steps.where(there, 0).amax(-2, keepdim=True)
    start, end = past.gather(-2, first), past.gather(-2, last)
    slope = (end - start) / (last - first).clamp(min=1)
    ahead = torch.arange(1, horizon + 1, device=past.device)[:, None] + (length - 1 - last)
    return end + slope * ahead


def seasonal_scale(values: Tensor, season: int = 1) -> Tensor:
    """Return the mean absolute error of the seasonal naive forecast of one step: (..., L, C) -> (..., C).

    The error of a forecast divided by this number, computed from the training part, is the mean absolute scaled error
    (MASE; Hyndman and Koehler, 2006). Pairs with a missing value do not count. NaN without a pair.
    """
    if season < 1:
        raise ValueError(f"season: expected at least 1, got {season}")
    return (values[..., season:, :] - values[..., : max(values.shape[-2] - season, 0), :]).abs().nanmean(-2)


def _check(past: Tensor, horizon: int, season: int) -> None:
    if horizon < 1 or season < 1:
        raise ValueError(f"horizon, season: expected at least 1, got {horizon} and {season}")
    if past.ndim < 2 or past.shape[-2] < season:
        raise ValueError(f"past: expected shape (..., length >= {season}, channels), got {tuple(past.shape)}")


def _filled(past: Tensor) -> Tensor:
    """Replace missing values (..., L, C) by the one before, at the start by the first one that is there."""
    length = past.shape[-2]
    steps = torch.arange(length, device=past.device)[:, None].expand_as(past)
    there = ~past.isnan()
    first = steps.where(there, length - 1).amin(-2, keepdim=True)
    latest = steps.where(there, -1).cummax(-2).values
    return past.gather(-2, latest.where(latest >= 0, first))
