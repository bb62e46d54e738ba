"""`fit_ridge`: ridge regression whose penalty is chosen by exact leave-one-out errors, which it also returns."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

# Eigenvalues below this share of the largest are rounding errors of float32 features.
_LEAST = 1e-6


class Ridge(NamedTuple):
    """A fitted ridge regression: `features @ coef + intercept`.

    Attributes:
        coef: (p, k).
        intercept: (k,).
        alpha: the penalty that was chosen.
        left_out: (n, k) prediction of each training row by the regression on all other rows, with the same penalty and
            the same scaling of features.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    alpha: float
    left_out: NDArray[np.float64]


def fit_ridge(features: NDArray[np.floating], targets: NDArray[np.float64], alphas: Sequence[float]) -> Ridge:
    """Fit ridge regression with an intercept to standardised features.

    Features are divided by their standard deviation and by sqrt(p), so that a penalty means the same for any p;
    constant features get the weight 0. The penalty with the smallest mean squared leave-one-out error is taken, the
    largest of equal ones. One eigendecomposition of the smaller of (n, n) and (p, p) serves all penalties.

    Args:
        features: (n, p).
        targets: (n, k).
        alphas: penalties > 0.
    """
    n, p = features.shape
    mean = features.mean(0, dtype=np.float64)
    scale = features.std(0, dtype=np.float64)
    varies = scale > 1e-7 * np.maximum(np.abs(mean), 1)
    scale = np.where(varies, 1 / np.where(varies, scale, 1), 0) / np.sqrt(max(p, 1))
    z = np.subtract(features, mean, dtype=features.dtype, casting="same_kind")
    z *= scale.astype(z.dtype)
    offset = targets.mean(0)
    centred = targets - offset
    u, values = _left_vectors(z)
    projected = u.T @ centred
    variance = np.where(centred.any(0), (centred**2).mean(0), 1)
    best, best_error = None, np.inf
    for alpha in sorted(alphas, reverse=True):
        shrunk = values / (values + alpha)
        residual = centred - u @ (shrunk[:, None] * projected)
        spared = 1 - 1 / n - (u**2) @ shrunk  # 1 - leverage
        left_out = residual / np.maximum(spared, 1e-10)[:, None]
        error = float(((left_out**2).mean(0) / variance).mean())
        if best is None or error < best_error:
            best, best_error = (alpha, targets - left_out), error
    assert best is not None  # there is at least one penalty
    alpha, left_out = best
    weights = z.T @ (u @ (projected / (values + alpha)[:, None])).astype(z.dtype)
    coef = scale[:, None] * weights
    return Ridge(coef, offset - mean @ coef, float(alpha), left_out)


def _left_vectors(z: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the left singular vectors (n, r) of z with centred columns, and the squared singular values (r,)."""
    n, p = z.shape
    if n <= p:
        gram = (z @ z.T).astype(np.float64)
        gram -= gram.mean(0)
        gram -= gram.mean(1, keepdims=True)  # so that rounding leaves no constant direction
        values, vectors = eigh(gram, overwrite_a=True, check_finite=False)
    else:
        z = z.astype(np.float64)
        values, vectors = eigh(z.T @ z, overwrite_a=True, check_finite=False)
    kept = values > _LEAST * max(values[-1], 1e-300)
    values, vectors = values[kept], vectors[:, kept]
    return (vectors if n <= p else z @ vectors / np.sqrt(values)), values
