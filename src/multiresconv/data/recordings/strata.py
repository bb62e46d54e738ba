"""What is spread evenly over the splits of a data set: classes, labels, and ranges of values."""

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.recordings.targets import Targets

MOST_RANGES = 10
ROWS_OF_RANGE = 8  # at least, so that a split of 15 % gets a row of each


def strata(targets: Targets) -> NDArray[np.float32]:
    """Return how much each row counts for what is to be spread evenly over the splits, (rows, k).

    "class" has a column of 0 and 1 for each class, "labels" for each label. "value" has columns for up to ten ranges of
    each value, from quantile to quantile, so that small and large values are in every split. "none" has no column.
    """
    if targets.kind == "class":
        return np.eye(len(targets.names), dtype=np.float32)[targets.values]
    if targets.kind != "value":
        return targets.values
    return np.concatenate([_ranges(values) for values in targets.values.T], axis=1)


def _ranges(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (rows, ranges): 1 where a value is within a range; equal values are in the same one."""
    count = min(max(len(values) // ROWS_OF_RANGE, 1), MOST_RANGES)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, count + 1)[1:-1]))
    return np.eye(len(edges) + 1, dtype=np.float32)[np.digitize(values, edges)]
