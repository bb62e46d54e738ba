"""`fit_ridge`: ridge regression whose penalty is chosen by exact leave-one-out errors, which it also returns."""

from collections.abc import Sequence
from typing import Any, NamedTuple

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
        left_out: (n, k) prediction of each training row by the regression on the rows of all other groups, with the
            same penalty and the same scaling of features.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    alpha: float
    left_out: NDArray[np.float64]


def fit_ridge(
    features: NDArray[np.floating],
    targets: NDArray[np.float64],
    alphas: Sequence[float],
    groups: Sequence[Any] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> Ridge:
    """Fit ridge regression with an intercept to standardised features.

    Features are divided by their standard deviation and by sqrt(p), so that a penalty means the same for any p;
    constant features get the weight 0. The penalty with the smallest mean squared leave-one-out error is taken, the
    largest of equal ones; with groups, one group is left out at a time. One eigendecomposition of the smaller of (n, n)
    and (p, p) serves all penalties.

    Args:
        features: (n, p).
        targets: (n, k).
        alphas: penalties > 0.
        groups: (n,) of each row; rows of one group are left out together. None makes each row its own group.
        weights: (n,) above 0, of each row in all means and errors; None weighs all the same.
    """
    n, p = features.shape
    root = np.ones(n) if weights is None else np.sqrt(weights * (n / weights.sum()))
    constant = root / np.sqrt(n)  # the direction of the intercept, of norm 1
    share = root**2 / n
    mean = np.einsum("i,ij->j", share, features)  # without a copy in float64
    z = np.subtract(features, mean, dtype=features.dtype, casting="same_kind")
    scale = np.sqrt(np.einsum("i,ij,ij->j", share, z, z))
    varies = scale > 1e-7 * np.maximum(np.abs(mean), 1)
    scale = np.where(varies, 1 / np.where(varies, scale, 1), 0) / np.sqrt(max(p, 1))
    z *= scale.astype(z.dtype)
    z *= root.astype(z.dtype)[:, None]
    offset = share @ targets
    centred = (targets - offset) * root[:, None]
    u, values = _left_vectors(z, constant)
    projected = u.T @ centred
    variance = np.where(centred.any(0), (centred**2).mean(0), 1)
    together = [] if groups is None else _groups(groups)
    best, best_error = None, np.inf
    for alpha in sorted(alphas, reverse=True):
        shrunk = values / (values + alpha)
        residual = centred - u @ (shrunk[:, None] * projected)
        spared = 1 - constant**2 - (u**2) @ shrunk  # 1 - leverage
        left_out = residual / np.maximum(spared, 1e-10)[:, None]
        for rows in together:
            leverage = (u[rows] * shrunk) @ u[rows].T + np.outer(constant[rows], constant[rows])
            left_out[rows] = np.linalg.lstsq(np.eye(len(rows)) - leverage, residual[rows], rcond=1e-10)[0]
        error = float(((left_out**2).mean(0) / variance).mean())
        if best is None or error < best_error:
            best, best_error = (alpha, targets - left_out / root[:, None]), error
    assert best is not None  # there is at least one penalty
    alpha, left_out = best
    weights = z.T @ (u @ (projected / (values + alpha)[:, None])).astype(z.dtype)
    coef = scale[:, None] * weights
    return Ridge(coef, offset - mean @ coef, float(alpha), left_out)


def _groups(groups: Sequence[Any]) -> list[NDArray[np.intp]]:
    """Return the rows of each group of more than one row, unless all rows are of one group."""
    _, numbers = np.unique(np.array(groups), return_inverse=True)
    if numbers.max() == 0:
        return []
    return [rows for group in np.unique(numbers) if len(rows := np.flatnonzero(numbers == group)) > 1]


def _left_vectors(
    z: NDArray[np.floating], constant: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the left singular vectors (n, r) and squared singular values (r,) of z.

    The columns of z have nothing of the direction `constant` (n,) but for rounding, which is taken out.
    """
    n, p = z.shape
    if n <= p:
        gram = (z @ z.T).astype(np.float64)
        gram -= np.outer(constant, constant @ gram)
        gram -= np.outer(gram @ constant, constant)
        values, vectors = eigh(gram, overwrite_a=True, check_finite=False)
    else:
        z = z.astype(np.float64)
        values, vectors = eigh(z.T @ z, overwrite_a=True, check_finite=False)
    kept = values > _LEAST * max(values[-1], 1e-300)
    values, vectors = values[kept], vectors[:, kept]
    return (vectors if n <= p else z @ vectors / np.sqrt(values)), values
