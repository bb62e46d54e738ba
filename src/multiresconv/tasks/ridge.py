"""`fit_ridge_model`: fits a `MultiresRidge` to sequences with classes, labels or values."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

from multiresconv.models import Input, MultiresFeatures, MultiresRidge, Output
from multiresconv.tasks.leave_one_out import fit_ridge

ALPHAS = tuple(float(alpha) for alpha in np.logspace(-5, 2, 15))


class Fitted(NamedTuple):
    """A fitted model, in eval mode.

    Attributes:
        model: the model.
        left_out: (n, d_output) outputs for each training sequence by a model fitted without it and without the others
            of its group, with the same features, penalty and `sharpness`.
        alpha: the penalty that was chosen; see `fit_ridge`.
        sharpness: factor of the regression scores in the logits, for classes and labels; for values 1.
    """

    model: MultiresRidge
    left_out: NDArray[np.float64]
    alpha: float
    sharpness: float


def fit_ridge_model(
    features: MultiresFeatures,
    sequences: Sequence[NDArray[np.float32]],
    targets: NDArray[Any],
    output: Output,
    *,
    input: Input | None = None,
    groups: Sequence[Any] | None = None,
    weights: NDArray[Any] | None = None,
    alphas: Sequence[float] = ALPHAS,
) -> Fitted:
    """Fit the linear map of a `MultiresRidge`.

    Each class or label is a target of -1 and 1. The penalty is chosen by leave-one-out errors. Logits are the scores of
    the regression times a factor that has the best likelihood on the leave-one-out scores, with smoothed targets so
    that it stays finite if none is wrong. One factor serves all classes. With few sequences the probabilities are often
    too cautious. They hold for whole sequences: those of a stream's first steps are not calibrated.

    Memory grows with the square of the number of sequences or of features, the smaller of the two, and with their
    product.

    Args:
        features: drawn for these sequences; they become part of the model.
        sequences: n arrays (C, L_i) float32, NaN where a value is missing.
        targets: (n,) numbers of classes, (n, labels) of 0 and 1, or (n, values).
        output: description of the output; a name of a class may have no sequence.
        input: description of the input.
        groups: of each sequence; those of one group are left out together. None leaves out one by one.
        weights: (n,) above 0, of each sequence in means and errors; None weighs all the same.
        alphas: penalties to choose from.
    """
    kind, count = output.kind, len(output.names)
    level, spread = np.zeros(count), np.ones(count)
    if kind == "class":
        wanted = np.where(targets[:, None] == np.arange(count), 1.0, -1.0)
    elif kind == "labels":
        wanted = np.where(targets > 0, 1.0, -1.0)
    else:
        wanted = np.asarray(targets, np.float64)
        level, spread = wanted.mean(0), wanted.std(0)
        spread = np.where(spread > 0, spread, 1.0)
        wanted = (wanted - level) / spread
    found = features.of_sequences(sequences)
    ridge = fit_ridge(found, wanted, list(alphas), groups, None if weights is None else weights.astype(np.float64))
    sharpness = 1.0
    if kind != "value":
        sharpness = _sharpness(ridge.left_out, wanted, weights, exclusive=kind == "class")
    model = MultiresRidge(output, **features.config, input=input, device="meta", dtype=torch.float32)
    model.to_empty(device="cpu")  # every tensor is set below; drawing initial weights would move PyTorch's generator
    model.net.load_state_dict(features.state_dict())
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(sharpness * ridge.coef.T))
        model.centre.copy_(torch.from_numpy(found.mean(0, dtype=np.float64)))
        offset = ridge.intercept + model.centre.double().numpy() @ ridge.coef
        model.head.bias.copy_(torch.from_numpy(sharpness * offset))
    model.target_standardise.set(torch.from_numpy(level), torch.from_numpy(spread))
    left_out = level + spread * sharpness * ridge.left_out
    return Fitted(model.eval().requires_grad_(False), left_out, ridge.alpha, sharpness)


def _sharpness(
    scores: NDArray[np.float64], wanted: NDArray[np.float64], weights: NDArray[Any] | None, *, exclusive: bool
) -> float:
    """Return the factor of scores (n, k) whose softmax, or sigmoid, has the best likelihood for targets of -1 and 1."""
    n, count = scores.shape
    slip = 1 / (n + 2)
    few = slip / max(count - 1, 1) if exclusive else slip
    probabilities = np.where(wanted > 0, 1 - slip, few)
    each = np.ones(n) if weights is None else weights

    def loss(log_factor: float) -> float:
        logits = np.exp(log_factor) * scores
        if exclusive:
            losses = -(probabilities * log_softmax(logits, axis=1)).sum(1)
        else:
            losses = -(probabilities * log_expit(logits) + (1 - probabilities) * log_expit(-logits)).sum(1)
        return float(each @ losses)

    best: Any = minimize_scalar(loss, bounds=(-4, 5), method="bounded")
    return float(np.exp(best.x))
