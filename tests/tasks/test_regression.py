"""Scores of a regression agree with scikit-learn's, its report is JSON, its pictures show what they were given."""

import io
import json
from types import SimpleNamespace
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import Tensor

from multiresconv import MultiresRegressor
from multiresconv.tasks.regression import regress, regression_report, regression_table
from multiresconv.tasks.regression_pictures import draw_regression
from multiresconv.tasks.regression_scores import RegressionScores
from multiresconv.tasks.task import Outcome

NAMES, UNITS = ("age", "dose"), ("years", "mg")


def rows(n: int = 80, n_targets: int = 2) -> tuple[Tensor, Tensor]:
    """Predictions and targets."""
    spread = torch.tensor([8.0, 0.1])[:n_targets]
    targets = spread * torch.randn(n, n_targets) + 60
    return targets + 0.3 * spread * torch.randn(n, n_targets), targets


def scores_of(predictions: Tensor, targets: Tensor, batches: int = 1) -> dict[str, Tensor]:
    scores = RegressionScores(targets.shape[1])
    for y, wanted in zip(predictions.chunk(batches), targets.chunk(batches), strict=True):
        scores.update(Outcome((y - wanted).square().mean(1), None, y), SimpleNamespace(targets=wanted))
    return scores.compute()


@pytest.mark.parametrize("batches", [1, 7])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_scores_are_those_of_scikit_learn(batches: int, n_targets: int) -> None:
    predictions, targets = rows(n_targets=n_targets)
    scores = scores_of(predictions, targets, batches)
    arguments = (targets.double().numpy(), predictions.double().numpy())
    for name, theirs in (("mae", mean_absolute_error), ("rmse", root_mean_squared_error), ("r2_by_target", r2_score)):
        wanted = theirs(*arguments, multioutput="raw_values")
        np.testing.assert_allclose(scores[name].reshape(-1), wanted, rtol=1e-6)
    np.testing.assert_allclose(scores["loss"], (predictions - targets).square().mean(), rtol=1e-6)
    np.testing.assert_allclose(scores["r2"], r2_score(*arguments), rtol=1e-6)


def test_the_report_is_json_and_says_what_the_scores_say() -> None:
    predictions, targets = rows()
    scores = scores_of(predictions, targets)
    report = regression_report(scores, NAMES, [61.0, 59.0], units=UNITS, resamples=200)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    for i, row in enumerate(report["per_target"]):
        assert (row["name"], row["unit"]) == (NAMES[i], UNITS[i])
        for measure, name in (("mae", "mae"), ("rmse", "rmse"), ("r2", "r2_by_target")):
            assert row[measure] == scores[name][i].item()
            assert row[f"{measure}_95"][0] < row[measure] < row[f"{measure}_95"][1]
        constant = torch.full((80,), [61.0, 59.0][i])
        np.testing.assert_allclose(row["mae_of_mean"], mean_absolute_error(targets[:, i], constant), rtol=1e-6)
        np.testing.assert_allclose(row["rmse_of_mean"], root_mean_squared_error(targets[:, i], constant), rtol=1e-6)
    table = regression_table(report)
    assert "age [years]" in table
    assert f"{report['per_target'][1]['mae']:.4g}" in table
    assert report == regression_report(scores, NAMES, [61.0, 59.0], units=UNITS, resamples=200)
    assert report != regression_report(scores, NAMES, [61.0, 59.0], units=UNITS, resamples=200, seed=1)


@pytest.mark.parametrize("value", [0.0, 0.3, -1e6])
def test_r2_of_equal_targets_is_undefined(value: float) -> None:
    predictions, targets = rows()
    targets[:, 1] = value
    scores = scores_of(predictions, targets)
    report = regression_report(scores, NAMES, [60.0, value], resamples=50)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert (report["per_target"][1]["r2"], report["per_target"][1]["r2_95"]) == (None, None)
    assert report["r2"] == report["per_target"][0]["r2"]
    assert regression_table(report).splitlines()[-1].split()[-2:] == ["-", "-"]
    alone = regression_report(scores_of(predictions[:, 1:], targets[:, 1:]), ["x"], [value], resamples=50)
    assert alone["r2"] is None
    assert "R2, mean  undefined\n" in regression_table(alone)


def test_what_is_not_finite_is_refused() -> None:
    predictions, targets = rows()
    predictions[3, 1] = torch.nan
    with pytest.raises(ValueError, match="predictions: expected finite ones, got 1 that are not"):
        scores_of(predictions, targets)
    with pytest.raises(ValueError, match="n_targets: expected at least 1, got 0"):
        RegressionScores(0)


def test_the_loss_does_not_depend_on_the_units_of_the_targets() -> None:
    torch.manual_seed(0)
    model = MultiresRegressor(2, 4, 1, d_input=3, depth=3, dtype=torch.float64)
    x, targets = torch.randn(5, 9, 3, dtype=torch.float64), torch.randn(5, 2)
    model.target_standardise.set(1.0, 2.0)
    before = regress(model, x, [9, 2, 3, 4, 5], targets)
    model.target_standardise.set(1000.0, 2000.0)
    after = regress(model, x, [9, 2, 3, 4, 5], 1000 * targets)
    torch.testing.assert_close(after.losses, before.losses)
    torch.testing.assert_close(after.outputs, 1000 * before.outputs)
    wanted = ((before.outputs - targets) / 2).square().mean(1)
    torch.testing.assert_close(before.losses.double(), wanted, rtol=1e-5, atol=1e-6)


def drawn(figure: Any) -> np.ndarray:
    """The picture's pixels, (height, width, 4)."""
    file = io.BytesIO()
    figure.savefig(file, dpi=50)
    file.seek(0)
    return matplotlib.image.imread(file)


@pytest.mark.parametrize(("n_targets", "n"), [(2, 80), (1, 1)])
def test_the_picture_shows_all_rows(n_targets: int, n: int) -> None:
    predictions, targets = rows(n, n_targets)
    figure = draw_regression(scores_of(predictions, targets), NAMES[:n_targets], "title", UNITS[:n_targets])
    assert len(figure.axes) == 2 * n_targets
    for i in range(n_targets):
        left, right = figure.axes[2 * i : 2 * i + 2]
        offsets = np.asarray(left.collections[0].get_offsets())
        np.testing.assert_array_equal(offsets, torch.stack([targets[:, i], predictions[:, i]], dim=1))
        assert (left.get_title(), left.get_xlabel()) == (NAMES[i], f"true [{UNITS[i]}]")
        assert sum(getattr(bar, "get_height")() for bar in right.patches) == n  # noqa: B009
    assert drawn(figure).std() > 0.01


def test_of_many_targets_the_first_are_drawn() -> None:
    predictions = torch.randn(5, 9)
    figure = draw_regression(scores_of(predictions, predictions + 1), [f"t{i}" for i in range(9)], "title")
    assert len(figure.axes) == 12
    assert figure.get_suptitle() == "title: 5 rows (the first 6 of 9)"
