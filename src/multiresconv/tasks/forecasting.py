"""Forecasting tasks: loss, report and table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.layers.lengths import Lengths
from multiresconv.models import MultiresForecaster
from multiresconv.tasks.forecast_measures import MODELS, measures, pinball
from multiresconv.tasks.resampling import (
    Draw,
    bootstrap,
    draw_blocks,
    draw_groups,
    interval_95,
    number_or_none,
)
from multiresconv.tasks.tables import aligned, columns
from multiresconv.tasks.task import Outcome

# With fewer series the bootstrap draws blocks of neighbouring origins, not whole series.
MIN_SERIES = 10
_MEASURES = ("pinball", "mae", "rmse", "mase")
_WITH_INTERVAL = ("model_mae", "model_mase", "coverage", "skill")


def forecast(
    model: MultiresForecaster,
    x: Tensor,
    future: Tensor,
    lengths: Lengths | None = None,
    steps: Sequence[int] | Tensor | None = None,
) -> Outcome:
    """Compute the loss of a model's forecasts: the quantile loss, or the absolute error without quantiles.

    It is in units of `model.target_standardise.std`, averaged over the values of each row that are there, and always in
    float32. A row without any has the loss 0.

    Args:
        model: the forecaster.
        x: (n, L, d_input) inputs.
        future: values after the last valid step (n, horizon, C), or after each of `steps` (n, N, horizon, C); NaN if
            missing. See `futures`.
        lengths: (n,) valid steps; None if all are valid.
        steps: steps to forecast from, see `MultiresForecaster.every_step`; None for the last valid step only.

    Returns:
        The losses and forecasts (n, horizon, C, Q) or (n, N, horizon, C, Q). There are no hits.
    """
    forecasts = model(x, lengths) if steps is None else model.every_step(x, lengths, steps)
    forecasts, std = forecasts.float(), model.target_standardise.std.float()
    future = future.to(forecasts)
    if future.shape != forecasts.shape[:-1]:
        raise ValueError(f"future: expected shape {tuple(forecasts.shape[:-1])}, got {tuple(future.shape)}")
    there = future.isfinite()
    losses = pinball(forecasts, future.where(there, 0), model.quantiles) / std
    if not model.quantiles:
        losses = 2 * losses  # the absolute error
    losses = losses.where(there, 0).flatten(1).sum(1) / there.flatten(1).sum(1).clamp(min=1)
    return Outcome(losses, None, forecasts)


def futures(values: Tensor, steps: Sequence[int] | Tensor, horizon: int) -> Tensor:
    """Return the values after some steps: values (n, T, C) -> (n, N, horizon, C); NaN after the end.

    Args:
        values: the forecast channels, with those after the last step if they are known.
        steps: steps in 0..T-1, (N,) for all rows or (n, N).
        horizon: number of values after each step.
    """
    ends = values.new_full((values.shape[0], horizon, values.shape[2]), torch.nan)
    longer = torch.cat([values, ends], dim=1)
    chosen = torch.as_tensor(steps, device=values.device)
    after = (chosen.unsqueeze(-1) + torch.arange(1, horizon + 1, device=values.device)).expand(len(values), -1, -1)
    return longer[torch.arange(len(values), device=values.device)[:, None, None], after]


def naive_scale(values: Tensor, horizon: int, season: int = 1) -> Tensor:
    """Return the typical error of the seasonal naive forecast of each channel: values (..., T, C) -> (C,).

    It is the root mean square over all origins and steps of the horizon. As the standard deviation of
    `target_standardise` it gives the linear map of a forecaster targets of about 1. Pairs with a missing value do not
    count. A channel without an error has the scale 1.

    Args:
        values: the training part.
        horizon: number of steps that are forecast.
        season: of the naive forecast, which repeats the last season; 1 repeats the last value.
    """
    values = values.double()
    squares, counts = values.new_zeros(values.shape[-1]), values.new_zeros(values.shape[-1])
    for step in range(min(horizon, values.shape[-2])):
        back = (step // season + 1) * season  # steps from the value that is repeated to the one that is forecast
        error = (values[..., back:, :] - values[..., : max(values.shape[-2] - back, 0), :]).flatten(0, -2)
        squares += error.square().nansum(0)
        counts += error.isfinite().sum(0)
    scale = (squares / counts.clamp(min=1)).sqrt()
    return scale.where(scale > 0, 1)


def forecast_report(
    scores: Mapping[str, Tensor],
    names: Sequence[str],
    *,
    quantiles: tuple[float, ...] = (),
    season: int = 1,
    units: Sequence[str] = (),
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Report the scores by channel, beside those of the naive forecasts, and by step of the horizon.

    MAE, RMSE and MASE are those of the quantile nearest to 0.5. Coverage and width are those of the interval from the
    lowest to the highest quantile, null with fewer than two quantiles. Skill is 1 - MAE / MAE of the seasonal naive
    forecast: 1 is perfect, 0 is no better. Undefined numbers are null.

    The 95 % intervals are from a percentile bootstrap. It draws whole series if there are at least `MIN_SERIES`. Else
    it draws blocks of origins that follow each other (moving blocks), since forecasts whose horizons overlap err alike.
    A block is as long as a horizon, and at least the cube root of the number of origins. With fewer than three blocks
    there are no intervals.

    Args:
        scores: the result of `ForecastScores.compute`.
        names: C names of the channels.
        quantiles: quantiles of the forecasts.
        season: season of the naive forecast.
        units: unit of each channel, or none.
        seed: seed of the resamples.
        resamples: number of resamples, at least 1.
    """
    sums = scores["by_origin"].double().numpy()
    n, (horizon, n_channels, _) = len(sums), scores["by_step"].shape
    found = {name: values.reshape(n_channels) for name, values in _with_skill(scores["by_step"].sum(0)).items()}
    by_step = _with_skill(scores["by_step"])
    draw, described = _draw(scores["places"].numpy(), horizon)
    drawn = {} if draw is None else _resampled(sums, draw, resamples=resamples, seed=seed)
    interval = quantiles[-1] - quantiles[0] if len(quantiles) > 1 else None
    rows = []
    for i, name in enumerate(names):
        row: dict[str, Any] = {"name": name, "unit": units[i] if units else None}
        row["values"] = int(scores["by_step"][:, i, 0].sum())
        for model in MODELS:
            row[model] = {key: number_or_none(float(found[f"{model}_{key}"][i])) for key in _MEASURES}
        for key in ("coverage", "width", "skill"):
            defined = key == "skill" or interval is not None
            row["model"][key] = number_or_none(float(found[key][i])) if defined else None
        for key in _WITH_INTERVAL:
            short = key.removeprefix("model_")
            known = key in drawn and row["model"][short] is not None
            row["model"][f"{short}_95"] = interval_95(drawn[key][:, i]) if known else None
        row["mae_by_step"] = {m: list(map(number_or_none, by_step[f"{m}_mae"][:, i].tolist())) for m in MODELS}
        coverage = by_step["coverage"][:, i].tolist()
        row["coverage_by_step"] = None if interval is None else list(map(number_or_none, coverage))
        rows.append(row)
    return {
        "n": n,
        "loss": float(scores["loss"]),
        "mase": number_or_none(float(scores["mase"])),
        "seasonal_naive_mase": number_or_none(float(scores["seasonal_naive_mase"])),
        "quantiles": list(quantiles),
        "nominal_coverage": interval,
        "season": season,
        "bootstrap_resamples": resamples,
        "bootstrap_over": described,
        "per_channel": rows,
    }


def forecast_table(report: Mapping[str, Any]) -> str:
    """Format a `forecast_report` as text: the means, then for each channel a line of each kind of forecast."""
    mase, naive, nominal = report["mase"], report["seasonal_naive_mase"], report["nominal_coverage"]
    means = aligned(
        {
            "origins": str(report["n"]),
            "MASE, mean": f"{_cell(mase)} (seasonal naive {_cell(naive)}, season {report['season']})",
            "loss": f"{report['loss']:.4f}",
            "interval": "none"
            if nominal is None
            else f"{report['quantiles'][0]} to {report['quantiles'][-1]} quantile",
            "bootstrap over": report["bootstrap_over"] or "nothing, there are too few origins",
        }
    )
    header = ["channel", "forecast", "MAE", "95 % interval", "RMSE", "MASE", "pinball", "skill"]
    header += [] if nominal is None else [f"coverage ({nominal:.0%})", "95 % interval", "width"]
    rows = []
    for row in report["per_channel"]:
        for model in MODELS:
            cells, own = row[model], model == "model"
            name = row["name"] + (f" [{row['unit']}]" if row["unit"] else "")
            line = [name if own else "", model.replace("_", " "), _cell(cells["mae"]), _range(cells.get("mae_95"))]
            line += [_cell(cells[key]) for key in ("rmse", "mase", "pinball")]
            line.append(_cell(cells["skill"]) if own else "")
            if nominal is not None:
                shares = cells.get("coverage"), cells.get("coverage_95")
                line.append("" if not own else "-" if shares[0] is None else f"{shares[0]:.1%}")
                line.append("" if shares[1] is None else "{:.1%} to {:.1%}".format(*shares[1]))
                line.append(_cell(cells["width"]) if own else "")
            rows.append(line)
    return "\n".join([means, "", columns([header, *rows], "<<" + ">" * (len(header) - 2))])


def _with_skill(sums: Tensor) -> dict[str, Tensor]:
    """Return the `measures` of sums and, as "skill", 1 - MAE / MAE of the seasonal naive forecast."""
    found = measures(sums)
    naive = found["seasonal_naive_mae"]
    return {**found, "skill": (1 - found["model_mae"] / naive).where(naive > 0, torch.nan)}


def _draw(places: NDArray, horizon: int) -> tuple[Draw | None, str | None]:
    """Choose what the bootstrap draws from origins at places (n, 2), and describe it; None if they are too few."""
    n, series = len(places), np.unique(places[:, 0])
    if len(series) >= MIN_SERIES:
        return draw_groups(places[:, 0]), f"{len(series)} series"
    spacings = np.diff(places[:, 1])[np.diff(places[:, 0]) == 0]
    spacing = float(np.median(spacings)) if len(spacings) else horizon
    block = int(np.ceil(max(horizon / max(spacing, 1), n ** (1 / 3))))
    if n < 3 * block:
        return None, None
    return draw_blocks(n, block), f"blocks of {block} origins"


def _resampled(sums: NDArray, draw: Draw, *, resamples: int, seed: int) -> dict[str, NDArray]:
    """Return the measures (resamples, C) of resamples of origins with sums (n, C, len(SUMS))."""
    flat = sums.reshape(len(sums), -1)
    totals = bootstrap(lambda weights: weights @ flat, draw, len(sums), resamples=resamples, seed=seed)
    found = _with_skill(torch.from_numpy(totals.reshape(-1, *sums.shape[1:])))
    return {name: found[name].numpy() for name in _WITH_INTERVAL}


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _range(interval: Sequence[float] | None) -> str:
    return "" if interval is None else "{:.4g} to {:.4g}".format(*interval)
