"""Regression tasks, with one or several values per row: loss, report and table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.layers.lengths import Lengths
from multiresconv.models import MultiresRegressor
from multiresconv.tasks.resampling import bootstrap, draw_rows, interval_95, number_or_none
from multiresconv.tasks.tables import aligned, columns
from multiresconv.tasks.task import Outcome

_MEASURES = ("mae", "rmse", "r2")


def regress(model: MultiresRegressor, x: Tensor, lengths: Lengths | None, targets: Tensor) -> Outcome:
    """Compute the mean squared error of a model's outputs for targets (n, T), averaged over the T targets.

    The loss is in standardised units, so that every target counts alike, and always in float32. The outputs have the
    units of the targets. The outcome has no hits.
    """
    outputs = model.standardised(x, lengths).float()
    losses = (outputs - model.target_standardise(targets).float()).square().mean(1)
    return Outcome(losses, None, model.target_standardise.undo(outputs))


def regression_report(
    scores: Mapping[str, Tensor],
    names: Sequence[str],
    train_means: Sequence[float],
    *,
    units: Sequence[str] = (),
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Report the scores of each target with their 95 % intervals (percentile bootstrap over rows).

    They stand beside the errors of a constant prediction, the mean of the training rows. Undefined numbers are null:
    R2 where all targets are equal, and its interval where that is so in every resample.

    Args:
        scores: the result of `RegressionScores.compute`.
        names: T names of the targets.
        train_means: (T,) mean of each target over the training rows.
        units: unit of each target, or none.
        seed: seed of the resamples.
        resamples: number of resamples, at least 1.
    """
    n, shape = int(scores["n"]), (-1, len(names))
    predictions, targets = (scores[name].double().numpy().reshape(shape) for name in ("predictions", "targets"))
    errors, constant = predictions - targets, np.asarray(train_means, np.float64) - targets
    drawn = bootstrap(
        lambda weights: _measures(weights, errors, targets), draw_rows(n), n, resamples=resamples, seed=seed
    )
    means = scores["mae"].reshape(-1), scores["rmse"].reshape(-1), scores["r2_by_target"].reshape(-1)
    rows = []
    for i, name in enumerate(names):
        row: dict[str, Any] = {"name": name, "unit": units[i] if units else None}
        for j, measure in enumerate(_MEASURES):
            row[measure] = number_or_none(float(means[j][i]))
            row[f"{measure}_95"] = None if row[measure] is None else interval_95(drawn[:, j, i])
        row["mae_of_mean"] = float(np.abs(constant[:, i]).mean())
        row["rmse_of_mean"] = float(np.sqrt(np.square(constant[:, i]).mean()))
        rows.append(row)
    return {
        "n": n,
        "loss": float(scores["loss"]),
        "r2": number_or_none(float(scores["r2"])),
        "bootstrap_resamples": resamples,
        "per_target": rows,
    }


def _measures(weights: NDArray, errors: NDArray, targets: NDArray) -> NDArray:
    """Return mae, rmse and R2 (R, 3, T) of rows (n, T) weighted by (R, n); R2 is NaN where the targets are equal."""
    weights = weights / weights.sum(1, keepdims=True)
    squares = weights @ np.square(errors)
    centred = targets - targets[:1]  # exactly 0 for equal targets
    power = weights @ np.square(centred)
    variance = power - np.square(weights @ centred)
    undefined = variance <= 1e-12 * power  # no more than rounding
    r2 = 1 - np.divide(squares, variance, out=np.full(variance.shape, np.nan), where=~undefined)
    return np.stack([weights @ np.abs(errors), np.sqrt(squares), r2], axis=1)


def regression_table(report: Mapping[str, Any]) -> str:
    """Format a `regression_report` as text: the means, then one line per target."""
    means = aligned(
        {
            "n": str(report["n"]),
            "R2, mean": "undefined" if report["r2"] is None else f"{report['r2']:.4f}",
            "loss": f"{report['loss']:.4f}",
        }
    )
    header = ["target", "MAE", "95 % interval", "of the mean", "RMSE", "95 % interval", "of the mean"]
    header += ["R2", "95 % interval"]
    rows = []
    for row in report["per_target"]:
        cells = [row["name"] + (f" [{row['unit']}]" if row["unit"] else "")]
        for measure in _MEASURES:
            low_high = row[f"{measure}_95"]
            cells.append("-" if row[measure] is None else f"{row[measure]:.4g}")
            cells.append("-" if low_high is None else "{:.4g} to {:.4g}".format(*low_high))
            if measure != "r2":
                cells.append(f"{row[f'{measure}_of_mean']:.4g}")
        rows.append(cells)
    return "\n".join([means, "", columns([header, *rows], "<" + ">" * 8)])
