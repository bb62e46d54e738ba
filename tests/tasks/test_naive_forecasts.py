"""Seasonal naive and drift forecasts are their definitions, also where values are missing."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.tasks.naive_forecasts import drift, seasonal_naive, seasonal_scale

law = examples(20)


@law
@given(st.integers(1, 6), st.integers(0, 9), st.integers(1, 20))
def test_the_last_season_is_repeated(season: int, more: int, horizon: int) -> None:
    past = torch.randn(2, season + more, 3)
    got = seasonal_naive(past, horizon, season)
    assert got.shape == (2, horizon, 3)
    for step in range(horizon):
        assert torch.equal(got[:, step], past[:, past.shape[1] - season + step % season])


@law
@given(st.integers(1, 12), st.integers(1, 20), st.data())
def test_drift_continues_a_line_and_ends_in_its_first_and_last_value(
    length: int, horizon: int, data: st.DataObject
) -> None:
    slope, level = torch.randn(2, 1, 3, dtype=torch.float64).unbind(0)
    line = level + slope * torch.arange(length + horizon)[:, None]
    past = line[:length].clone()
    if length > 2:
        missing = data.draw(st.lists(st.integers(0, length - 1), max_size=length - 2))
        past[missing] = torch.nan
    wanted = line[length:] if length > 1 else level.expand(horizon, 3)
    torch.testing.assert_close(drift(past, horizon), wanted)
    between = past.clone()
    first, last = (~past[:, 0].isnan()).nonzero()[[0, -1], 0].tolist()
    between[first + 1 : last] += 5
    torch.testing.assert_close(drift(between, horizon), wanted)


def test_a_missing_value_is_replaced_by_the_one_before() -> None:
    nan = torch.nan
    past = torch.tensor([[nan, 1, nan, 3, nan, nan], [nan, nan, nan, nan, 5, nan], [nan] * 6]).T
    assert torch.equal(seasonal_naive(past, 3, 3)[:, 0], torch.tensor([3.0, 3.0, 3.0]))
    assert torch.equal(seasonal_naive(past, 4, 4)[:, 0], torch.tensor([1.0, 3.0, 3.0, 3.0]))
    assert torch.equal(seasonal_naive(past, 4, 6)[:, 1], torch.tensor([5.0] * 4))
    assert seasonal_naive(past, 4, 6)[:, 2].isnan().all()
    assert drift(past, 2)[:, 2].isnan().all()


@law
@given(st.integers(1, 5), st.integers(0, 9))
def test_the_scale_is_the_error_of_the_seasonal_naive_forecast_of_the_training_part(season: int, more: int) -> None:
    values = torch.randn(season + more, 2, dtype=torch.float64)
    errors = [
        (values[end] - seasonal_naive(values[:end], season, season)[0]).abs() for end in range(season, len(values))
    ]
    wanted = torch.stack(errors).mean(0) if errors else torch.full((2,), torch.nan, dtype=torch.float64)
    torch.testing.assert_close(seasonal_scale(values, season), wanted, equal_nan=True)
    assert torch.equal(seasonal_scale(torch.ones(9, 2), season), torch.zeros(2))


def test_what_cannot_be_forecast_is_refused() -> None:
    past = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"past: expected shape \(..., length >= 5, channels\), got \(4, 2\)"):
        seasonal_naive(past, 3, 5)
    for horizon, season in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match=f"horizon, season: expected at least 1, got {horizon} and {season}"):
            seasonal_naive(past, horizon, season)
    with pytest.raises(ValueError, match="season: expected at least 1, got 0"):
        seasonal_scale(past, 0)
