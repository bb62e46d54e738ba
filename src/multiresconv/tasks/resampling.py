"""The percentile bootstrap: 95 % intervals of scores that are functions of sums over rows."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 22  # weights in memory at once, 32 MB

Draw = Callable[[np.random.Generator], NDArray[np.intp]]


def draw_rows(n: int) -> Draw:
    """Draw n rows with replacement; for rows that know nothing of each other."""
    return lambda random: random.integers(n, size=n)


def draw_groups(groups: NDArray) -> Draw:
    """Draw whole groups of rows with replacement, as many as there are; for rows of a group that are alike."""
    _, group_of = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(group_of, kind="stable"), np.cumsum(np.bincount(group_of))[:-1])
    return lambda random: np.concatenate([members[i] for i in random.integers(len(members), size=len(members))])


def draw_blocks(n: int, block: int) -> Draw:
    """Draw n rows in blocks of `block` neighbours (moving blocks); for rows in the order of time."""

    def draw(random: np.random.Generator) -> NDArray[np.intp]:
        starts = random.integers(n - block + 1, size=-(-n // block))
        return (starts[:, None] + np.arange(block)).ravel()[:n]

    return draw


def bootstrap(
    statistic: Callable[[NDArray[np.float64]], NDArray], draw: Draw, n: int, *, resamples: int, seed: int
) -> NDArray:
    """Compute a statistic of `resamples` resamples of n rows.

    Args:
        statistic: maps weights (R, n), how often each resample has each row, to (R, ...).
        draw: draws the row numbers of one resample.
        n: number of rows.
        resamples: at least 1.
        seed: seed of the resamples.

    Returns:
        (resamples, ...).
    """
    if resamples < 1:
        raise ValueError(f"resamples: expected at least 1, got {resamples}")
    random, at_once = np.random.default_rng(seed), max(CHUNK // n, 1)
    results = []
    for start in range(0, resamples, at_once):
        drawn = (draw(random) for _ in range(min(at_once, resamples - start)))
        results.append(statistic(np.stack([np.bincount(rows, minlength=n) for rows in drawn]).astype(np.float64)))
    return np.concatenate(results)


def interval_95(values: NDArray) -> list[float] | None:
    """Return the 2.5th and 97.5th percentile of the defined values (R,), or None if none is defined."""
    defined = values[~np.isnan(values)]
    return np.percentile(defined, [2.5, 97.5]).tolist() if len(defined) else None


def number_or_none(value: float) -> float | None:
    """Return None, which JSON can write, for NaN."""
    return None if np.isnan(value) else float(value)
