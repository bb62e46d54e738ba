"""`read_classes`: what users pass as the classes `y`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d


def read_classes(y: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the different classes of y in order, and the index of the class of each row (n,).

    Raises:
        ValueError: y is None, a row has no class, there are fewer than two classes, they are numbers that are not
            whole, or they cannot be put in order.
    """
    if y is None:
        raise ValueError("y: expected classes, got None; requires y to be passed, but the target y is None")
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "O":
        for row, value in enumerate(y):
            if value is None or value != value:
                raise ValueError(f"y: row {row} has no class: Input y contains NaN or None; leave such rows out")
    try:
        check_classification_targets(y)
        classes, index = np.unique(y, return_inverse=True)
    except TypeError:
        kinds = ", ".join(sorted({type(value).__name__ for value in y}))
        raise ValueError(f"y: expected classes of one type, got {kinds}") from None
    if len(classes) < 2:
        found = f"1 class: {classes[0]}" if len(classes) else "no row, so no class"
        raise ValueError(f"y: expected at least 2 classes, got {found}")
    return classes, index.astype(np.int64)
