"""What users may pass as classes, and which line tells them what is wrong."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from multiresconv.estimators.classes import read_classes


@pytest.mark.parametrize(
    ("y", "classes", "index"),
    [
        (["b", "a", "b"], ["a", "b"], [1, 0, 1]),
        (np.array([3, 1, 3]), [1, 3], [1, 0, 1]),
        (np.array(["x", "y"], object), ["x", "y"], [0, 1]),
        (pd.Series(["x", "y"], dtype="category"), ["x", "y"], [0, 1]),
        ([True, False], [False, True], [1, 0]),
    ],
)
def test_classes(y: Any, classes: list, index: list[int]) -> None:
    found, of_row = read_classes(y)
    assert found.tolist() == classes
    assert of_row.tolist() == index
    assert of_row.dtype == np.int64


@pytest.mark.parametrize(
    ("y", "wrong"),
    [
        (None, "y: expected classes, got None"),
        (["a", None, "b"], "y: row 1 has no class"),
        (np.array(["a", "b", np.nan], object), "y: row 2 has no class"),
        ([0.5, 1.5], "Unknown label type: continuous"),
        (np.array(["a", 1], object), "y: expected classes of one type, got int, str$"),
        (np.array(["a", "a"]), "y: expected at least 2 classes, got 1 class: a$"),
    ],
)
def test_refused(y: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        read_classes(y)
