"""Classes, labels and ranges of values are spread evenly over the splits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data.recordings.assign import assign
from multiresconv.data.recordings.strata import strata
from multiresconv.data.recordings.targets import Targets


@examples(50)
@given(rows=st.integers(40, 300), seed=st.integers(0, 99), skew=st.sampled_from([0.5, 1.0, 3.0]))
def test_small_and_large_values_are_in_every_split(rows: int, seed: int, skew: float) -> None:
    values = np.exp(skew * np.random.default_rng(seed).normal(size=(rows, 1))).astype(np.float32)
    columns = strata(Targets("value", ("y",), values))
    assert (columns.sum(1) == 1).all()
    for column in columns.T:  # a range holds a run of the sorted values
        assert (np.diff(np.flatnonzero(column[np.argsort(values[:, 0])])) == 1).all()
    alone, none = [str(row) for row in range(rows)], [""] * rows
    splits = assign(alone, none, columns, (), val_share=0.15, test_share=0.15, seed=seed).splits
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    for split, share in enumerate((0.7, 0.15, 0.15)):
        for third in (values[:, 0] <= low, (values[:, 0] > low) & (values[:, 0] < high), values[:, 0] >= high):
            wanted = share * third.sum()
            assert abs((splits[third] == split).sum() - wanted) <= len(columns.T) / 3 + 2  # a row for each range


def test_several_values_have_ranges_of_their_own() -> None:
    values = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    columns = strata(Targets("value", ("a", "b"), values))
    assert (columns.sum(1) == 2).all()
    assert columns.sum(0) == pytest.approx(8, abs=1)


def test_equal_values_are_in_one_range() -> None:
    values = np.repeat(np.array([[1.0], [2.0], [5.0]], np.float32), [60, 3, 40], axis=0)
    columns = strata(Targets("value", ("y",), values))
    assert len({tuple(row) for row in columns[:60].tolist()}) == 1
    assert columns[0] @ columns[-1] == 0


def test_classes_and_labels_have_a_column_each() -> None:
    assert strata(Targets("class", ("a", "b"), np.array([1, 0]))).tolist() == [[0, 1], [1, 0]]
    flags = np.array([[1, 1, 0]], np.float32)
    assert strata(Targets("labels", ("a", "b", "c"), flags)) is flags
    assert strata(Targets("none", (), np.zeros((3, 0), np.float32))).shape == (3, 0)
