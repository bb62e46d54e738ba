"""Ranking metrics: AUROC, average precision and a bootstrap of the macro AUROC; ties count as in scikit-learn."""

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 22  # weights in memory at once, 32 MB


def auroc(logits: NDArray, labels: NDArray, weights: NDArray | None = None) -> NDArray[np.float64]:
    """Compute the area under the ROC curve, the share of correctly ranked pairs, for R weightings of the rows at once.

    Args:
        logits: (n,) score of each row.
        labels: (n,) 1 if the row has the label, else 0.
        weights: (n, R) how often each row counts, at least 0; None counts each row once, with R = 1.

    Returns:
        (R,) areas; NaN if all rows with a weight above 0 have equal labels.
    """
    weights = np.ones((len(logits), 1)) if weights is None else weights
    positive = labels.astype(bool)
    order = np.flatnonzero(~positive)[np.argsort(logits[~positive], kind="stable")]
    below = np.zeros((len(order) + 1, weights.shape[1]))  # below[i]: total weight of the i lowest negative rows
    np.cumsum(weights[order], axis=0, out=below[1:])
    negatives, scores, of_positives = logits[order], logits[positive], weights[positive]
    left, right = (np.searchsorted(negatives, scores, side) for side in ("left", "right"))
    won = ((below[left] + below[right]) * of_positives).sum(0) / 2  # a tie is half a pair
    pairs = of_positives.sum(0) * below[-1]
    return np.divide(won, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)


def average_precision(logits: NDArray, labels: NDArray) -> float:
    """Compute the precision at the score of each positive row, averaged over positive rows; NaN without any."""
    scores = logits[labels.astype(bool)]
    if not len(scores):
        return float("nan")
    at_least = len(logits) - np.searchsorted(np.sort(logits), scores, "left")
    hits = len(scores) - np.searchsorted(np.sort(scores), scores, "left")
    return float((hits / at_least).mean())


def bootstrap_macro_auroc(logits: NDArray, labels: NDArray, *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Compute the macro AUROC of `resamples` bootstrap samples, each of n rows drawn with replacement.

    Args:
        logits, labels: (n, C).

    Returns:
        (resamples,) means over the classes with positive and negative rows in the sample; NaN without such a class.
    """
    n, n_labels = logits.shape
    random = np.random.default_rng(seed)
    at_once = max(CHUNK // n, 1)
    macros = []
    for start in range(0, resamples, at_once):
        drawn = (random.integers(n, size=n) for _ in range(min(at_once, resamples - start)))
        weights = np.stack([np.bincount(rows, minlength=n) for rows in drawn], axis=1).astype(np.float64)
        areas = np.stack([auroc(logits[:, label], labels[:, label], weights) for label in range(n_labels)])
        scored = ~np.isnan(areas)
        count = scored.sum(0)
        total = np.where(scored, areas, 0).sum(0)
        macros.append(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0))
    return np.concatenate(macros)
