"""Scores of forecasts are their definitions, the report is JSON, the pictures show what they were given."""

import io
import json
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from sklearn.metrics import mean_pinball_loss
from torch import Tensor

from multiresconv import MultiresForecaster
from multiresconv.tasks.forecast_measures import measures, pinball
from multiresconv.tasks.forecast_pictures import Fan, draw_error_by_step, draw_fans
from multiresconv.tasks.forecast_scores import ForecastBatch, ForecastScores
from multiresconv.tasks.forecasting import forecast, forecast_report, forecast_table, futures, naive_scale
from multiresconv.tasks.naive_forecasts import drift, seasonal_naive, seasonal_scale
from multiresconv.tasks.task import Outcome

law = examples(15)
QUANTILES, H, SEASON, NAMES, UNITS = (0.1, 0.5, 0.9), 5, 4, ("load", "wind"), ("MW", "m/s")


def batch_of(n: int = 40, series: int = 1, missing: float = 0.0) -> ForecastBatch:
    """Origins of random walks, each series with its own scale."""
    walks = torch.randn(series, n + 30, 2, dtype=torch.float64).cumsum(1)
    walks[torch.rand(walks.shape) < missing] = torch.nan
    rows = [(s, 20 + origin) for s in range(series) for origin in range(n // series)]
    past = torch.stack([walks[s, origin - 15 : origin + 1] for s, origin in rows])
    future = torch.stack([walks[s, origin + 1 : origin + 1 + H] for s, origin in rows])
    scale = torch.stack([seasonal_scale(walks[s, :20], SEASON) for s, _ in rows])
    return ForecastBatch(past, future, scale, *torch.tensor(rows).unbind(1))


def scores_of(batch: ForecastBatch, forecasts: Tensor, quantiles: Any = QUANTILES, batches: int = 1) -> Any:
    scores = ForecastScores(H, 2, quantiles, SEASON)
    for rows in torch.arange(len(forecasts)).chunk(batches):
        part = ForecastBatch(*(field[rows] for field in batch))
        scores.update(Outcome(torch.ones(len(rows)), None, forecasts[rows]), part)
    return scores.compute()


def random_forecasts(batch: ForecastBatch, size: int = 3) -> Tensor:
    return (batch.past[:, -1:, :, None].nan_to_num() + torch.randn(*batch.future.shape, size)).sort(-1).values


@law
@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True).map(sorted), st.integers(1, 9))
def test_pinball_is_that_of_scikit_learn(quantiles: list[float], n: int) -> None:
    future, forecasts = torch.randn(n, dtype=torch.float64), torch.randn(n, len(quantiles), dtype=torch.float64)
    wanted = np.mean([mean_pinball_loss(future, forecasts[:, i], alpha=q) for i, q in enumerate(quantiles)])
    np.testing.assert_allclose(pinball(forecasts, future, tuple(quantiles)).mean(), wanted)
    point = forecasts[:, :1]
    wanted = np.mean([mean_pinball_loss(future, point[:, 0], alpha=q) for q in quantiles])
    np.testing.assert_allclose(pinball(point, future, tuple(quantiles)).mean(), wanted)
    torch.testing.assert_close(pinball(point, future, ()), (future - point[:, 0]).abs() / 2)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_measures_are_their_definitions(missing: float) -> None:
    batch = batch_of(missing=missing)
    forecasts = random_forecasts(batch)
    scores = scores_of(batch, forecasts)
    found, steps = measures(scores["by_step"].sum(0)), measures(scores["by_step"])
    assert torch.equal(scores["by_step"][..., 0].sum(0), batch.future.isfinite().sum((0, 1)).double())
    naive = seasonal_naive(batch.past, H, SEASON), drift(batch.past, H)
    inside = (forecasts[..., 0] <= batch.future) & (batch.future <= forecasts[..., 2])
    for model, points in zip(("model", "seasonal_naive", "drift"), (forecasts[..., 1], *naive), strict=True):
        errors = points - batch.future
        for key, terms in {
            "mae": errors.abs(),
            "mase": errors.abs() / batch.scale[:, None],
            "pinball": pinball(forecasts if model == "model" else points[..., None], batch.future, QUANTILES),
        }.items():
            torch.testing.assert_close(found[f"{model}_{key}"], terms.nanmean((0, 1)))
            torch.testing.assert_close(steps[f"{model}_{key}"], terms.nanmean(0))
        torch.testing.assert_close(found[f"{model}_rmse"], errors.square().nanmean((0, 1)).sqrt())
    covered = inside.double().where(batch.future.isfinite(), torch.nan)
    torch.testing.assert_close(found["coverage"], covered.nanmean((0, 1)))
    width = (forecasts[..., 2] - forecasts[..., 0]).where(batch.future.isfinite(), torch.nan)
    torch.testing.assert_close(found["width"], width.nanmean((0, 1)))
    assert scores["loss"] == 1


def test_mase_of_the_seasonal_naive_forecast_of_the_training_part_is_one() -> None:
    """One step ahead, over the training part itself, the error is the scale by definition."""
    values = torch.randn(60, 2, dtype=torch.float64)
    origins = torch.arange(SEASON - 1, 59)
    past = torch.stack([values[o + 1 - SEASON : o + 1] for o in origins])
    future = futures(values[None], origins, 1)[0]
    forecasts = seasonal_naive(past, 1, SEASON)
    scale = seasonal_scale(values, SEASON).expand(len(origins), 2)
    scores = ForecastScores(1, 2, (), SEASON)
    batch = ForecastBatch(past, future, scale, torch.zeros_like(origins), origins)
    scores.update(Outcome(torch.zeros(len(origins)), None, forecasts[..., None]), batch)
    found = scores.compute()
    torch.testing.assert_close(found["mase"], torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(found["seasonal_naive_mase"], found["mase"])


@law
@given(st.integers(1, 9), st.integers(0, 99))
def test_scores_do_not_depend_on_the_batches(batches: int, seed: int) -> None:
    torch.manual_seed(seed)
    batch = batch_of(12, series=3, missing=0.1)
    forecasts, order = random_forecasts(batch), torch.randperm(12)
    shuffled = ForecastBatch(*(field[order] for field in batch))
    one, other = scores_of(batch, forecasts), scores_of(shuffled, forecasts[order], batches=batches)
    for name, wanted in one.items():
        torch.testing.assert_close(other[name], wanted, equal_nan=True)


def test_a_constant_training_part_has_no_mase() -> None:
    batch = batch_of()
    batch.scale[:, 1] = 0
    scores = scores_of(batch, random_forecasts(batch))
    assert measures(scores["by_step"].sum(0))["model_mase"].isnan().tolist() == [False, True]
    report = forecast_report(scores, NAMES, quantiles=QUANTILES, resamples=20)
    assert (report["per_channel"][1]["model"]["mase"], report["per_channel"][1]["model"]["mase_95"]) == (None, None)
    assert report["mase"] == report["per_channel"][0]["model"]["mase"]
    forecast_table(report)


def test_bad_forecasts_are_refused() -> None:
    batch = batch_of()
    with pytest.raises(ValueError, match=r"forecasts: expected shape \(40, 5, 2, 3\), got \(40, 5, 2, 1\)"):
        scores_of(batch, random_forecasts(batch, 1))
    forecasts = random_forecasts(batch)
    forecasts[3:7, 0, 0, 1] = torch.nan
    with pytest.raises(ValueError, match="forecasts: expected finite ones, got 4 that are not"):
        scores_of(batch, forecasts)


@pytest.mark.parametrize("quantiles", [(), QUANTILES])
def test_the_loss_is_in_standard_deviations_of_what_is_there(quantiles: Any) -> None:
    torch.manual_seed(0)
    model = MultiresForecaster(H, 4, 1, d_input=3, n_channels=2, quantiles=quantiles, depth=3).eval()
    model.target_standardise.set(0.0, torch.tensor([2.0, 0.5]))
    values = torch.randn(3, 12 + H, 3)
    x, steps, lengths = values[:, :12], [2, 7, 11], [12, 12, 8]
    future = futures(values[..., :2], steps, H)
    future[0, 1, 2:] = torch.nan
    future[2] = torch.nan
    outcome = forecast(model, x, future, lengths, steps)
    std = model.target_standardise.std
    levels = torch.tensor(quantiles or (0.5,))
    errors = future[..., None] - outcome.outputs
    losses = torch.maximum(levels * errors, (levels - 1) * errors).mean(-1) / std * (1 if quantiles else 2)
    torch.testing.assert_close(outcome.losses, losses.nanmean((1, 2, 3)).nan_to_num())
    assert outcome.losses[2] == 0
    last = forecast(model, x, future[:, 2])
    torch.testing.assert_close(last.outputs[0], outcome.outputs[0, 2])
    torch.testing.assert_close(last.losses[1], losses[1, 2].mean())
    outcome.losses.sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    with pytest.raises(ValueError, match=r"future: expected shape \(3, 5, 2\), got \(3, 3, 5, 2\)"):
        forecast(model, x, future)


@pytest.mark.parametrize("season", [1, 3, H, 9])
def test_the_scale_is_the_error_of_the_seasonal_naive_forecast(season: int) -> None:
    values = torch.randn(2, 30, 3)
    values[..., 2] = 7
    values[1, 15:20, 0] = torch.nan
    repeated = seasonal_naive(torch.arange(season, dtype=torch.float32)[:, None], H, season)[:, 0].long().tolist()
    lags = [season + step - place for step, place in enumerate(repeated)]
    squares = [(values[:, lag:] - values[:, :-lag]).square() for lag in lags]
    wanted = torch.cat(squares, dim=1).nanmean((0, 1)).sqrt()
    wanted[2] = 1
    torch.testing.assert_close(naive_scale(values, H, season).float(), wanted)
    assert naive_scale(values, 99, season).isfinite().all()


def test_futures_are_what_comes_after() -> None:
    values = torch.randn(2, 9, 3)
    got = futures(values, [0, 6, 8], 3)
    assert torch.equal(got[:, 0], values[:, 1:4])
    assert torch.equal(got[:, 1, :2], values[:, 7:])
    assert got[:, 1, 2].isnan().all()
    assert got[:, 2].isnan().all()
    rows = torch.tensor([[1], [4]])
    assert torch.equal(futures(values, rows, 3), torch.stack([values[0, 2:5], values[1, 5:8]])[:, None])


@pytest.mark.parametrize(
    ("n", "series", "described"),
    [(40, 1, "blocks of 5 origins"), (40, 10, "10 series"), (40, 5, "blocks of 5 origins"), (14, 1, None)],
)
def test_the_report_is_json_and_says_what_the_scores_say(n: int, series: int, described: str | None) -> None:
    batch = batch_of(n, series)
    scores = scores_of(batch, random_forecasts(batch))
    report = forecast_report(scores, NAMES, quantiles=QUANTILES, season=SEASON, units=UNITS, resamples=100)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["bootstrap_over"] == described
    assert report["nominal_coverage"] == 0.8
    found = measures(scores["by_step"].sum(0))
    for i, row in enumerate(report["per_channel"]):
        assert (row["name"], row["unit"], row["values"]) == (NAMES[i], UNITS[i], n * H)
        for model in ("model", "seasonal_naive", "drift"):
            assert row[model]["mae"] == found[f"{model}_mae"][i].item()
            np.testing.assert_allclose(np.mean(row["mae_by_step"][model]), row[model]["mae"])
        skill = 1 - row["model"]["mae"] / row["seasonal_naive"]["mae"]
        np.testing.assert_allclose(row["model"]["skill"], skill)
        for key in ("mae", "mase", "coverage", "skill"):
            if described is None:
                assert row["model"][f"{key}_95"] is None
            else:
                assert row["model"][f"{key}_95"][0] <= row["model"][key] <= row["model"][f"{key}_95"][1]
    table = forecast_table(report)
    assert "coverage (80%)" in table
    assert "load [MW]" in table
    assert f"{found['model_mae'][0]:.4g}" in table
    assert report == forecast_report(scores, NAMES, quantiles=QUANTILES, season=SEASON, units=UNITS, resamples=100)


def test_point_forecasts_have_no_interval() -> None:
    batch = batch_of()
    report = forecast_report(scores_of(batch, random_forecasts(batch, 1), ()), NAMES, resamples=20)
    for row in report["per_channel"]:
        assert [row["model"][key] for key in ("coverage", "coverage_95", "width")] == [None] * 3
        assert row["coverage_by_step"] is None
        np.testing.assert_allclose(row["model"]["pinball"], row["model"]["mae"] / 2)
    assert "coverage" not in forecast_table(report)


def drawn(figure: Any) -> np.ndarray:
    """The picture's pixels, (height, width, 4)."""
    file = io.BytesIO()
    figure.savefig(file, dpi=50)
    file.seek(0)
    return matplotlib.image.imread(file)


@pytest.mark.parametrize("quantiles", [(), (0.05, 0.2, 0.5, 0.8, 0.95)])
def test_fans_show_past_truth_and_quantiles(quantiles: Any) -> None:
    batch = batch_of(2)
    forecasts = random_forecasts(batch, max(len(quantiles), 1)).numpy()
    rows = zip(batch.past.numpy(), batch.future.numpy(), forecasts, strict=True)
    fans = [Fan(*row, f"origin {i}") for i, row in enumerate(rows)]
    figure = draw_fans(fans, NAMES, quantiles, "title", UNITS)
    assert [axes.get_title() for axes in figure.axes] == [f"{name}, origin {i}" for i in range(2) for name in NAMES]
    for i, axes in enumerate(figure.axes):
        fan, channel = fans[i // 2], i % 2
        past, truth, middle = (np.asarray(line.get_ydata()) for line in axes.lines[:3])
        np.testing.assert_array_equal(past, fan.past[:, channel])
        np.testing.assert_array_equal(truth, [fan.past[-1, channel], *fan.future[:, channel]])
        np.testing.assert_array_equal(middle, fan.forecasts[:, channel, len(quantiles) // 2])
        assert len(axes.collections) == len(quantiles) // 2
        assert np.asarray(axes.lines[2].get_xdata()).tolist() == [1, 2, 3, 4, 5]
    assert drawn(figure).std() > 0.01


def test_the_error_of_each_step_is_drawn_beside_those_of_the_naive_forecasts() -> None:
    batch = batch_of()
    scores = scores_of(batch, random_forecasts(batch))
    figure = draw_error_by_step(scores, NAMES, "title", UNITS)
    assert figure.get_suptitle() == "title: 40 origins"
    steps = measures(scores["by_step"])
    for i, axes in enumerate(figure.axes):
        for line, model in zip(axes.lines, ("model", "seasonal_naive", "drift"), strict=True):
            np.testing.assert_array_equal(np.asarray(line.get_ydata()), steps[f"{model}_mae"][:, i])
    assert drawn(figure).std() > 0.01
