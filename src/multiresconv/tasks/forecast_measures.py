"""Measures of forecasts: quantile loss, MAE, RMSE, MASE, coverage and width."""

from collections.abc import Mapping

import torch
from torch import Tensor

NAIVE = ("seasonal_naive", "drift")
MODELS = ("model", *NAIVE)
OF_ALL = ("pinball", "absolute", "square", "scaled")
SUMS = ("count", "scaled_count", "covered", "width", *(f"{model}_{name}" for model in MODELS for name in OF_ALL))


def measures(sums: Tensor) -> dict[str, Tensor]:
    """Turn sums (..., len(SUMS)) into measures (...): coverage, width, and of each model pinball, mae, rmse and mase.

    Coverage and width are those of the interval from the lowest to the highest quantile. NaN if no value counts.
    """
    terms: Mapping[str, Tensor] = dict(zip(SUMS, sums.unbind(-1), strict=True))
    count, scaled = terms["count"], terms["scaled_count"]
    found = {"coverage": terms["covered"] / count, "width": terms["width"] / count}
    for model in MODELS:
        found[f"{model}_pinball"] = terms[f"{model}_pinball"] / count
        found[f"{model}_mae"] = terms[f"{model}_absolute"] / count
        found[f"{model}_rmse"] = (terms[f"{model}_square"] / count).sqrt()
        found[f"{model}_mase"] = terms[f"{model}_scaled"] / scaled
    return found


def pinball(forecasts: Tensor, future: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """Return the quantile loss, averaged over the quantiles: (..., Q) and (...) -> (...).

    It is max(q * e, (q - 1) * e) with e = future - forecast. A point forecast, Q = 1, stands for all quantiles. Without
    quantiles it is half the absolute error, the loss of the median.
    """
    levels = torch.tensor(quantiles or (0.5,), dtype=forecasts.dtype, device=forecasts.device)
    error = future.unsqueeze(-1) - forecasts
    return torch.maximum(levels * error, (levels - 1) * error).mean(-1)


def middle(quantiles: tuple[float, ...]) -> int:
    """Return the index of the quantile that serves as point forecast, the one nearest to 0.5; 0 without quantiles."""
    return min(range(len(quantiles)), key=lambda i: abs(quantiles[i] - 0.5), default=0)
