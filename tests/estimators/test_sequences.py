"""What users may pass as X."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from multiresconv.estimators.sequences import read_sequences
from multiresconv.models.feature_counter import hold_missing

X = np.arange(24, dtype=np.float64).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("given", "shapes"),
    [
        (X, [(3, 4), (3, 4)]),
        (X[:, 0], [(1, 4), (1, 4)]),
        (X[:, 0].tolist(), [(1, 4), (1, 4)]),
        (X.tolist(), [(3, 4), (3, 4)]),
        (pd.DataFrame(X[:, 0]), [(1, 4), (1, 4)]),
        (list(X), [(3, 4), (3, 4)]),
        ([X[0], X[1, :, :2]], [(3, 4), (3, 2)]),
        ([X[0].tolist(), X[1, :, :2].tolist()], [(3, 4), (3, 2)]),
        ([X[0, 0], X[0, 0, :1]], [(1, 4), (1, 1)]),
        ([X[0, 0], X[0, 1]], [(1, 4), (1, 4)]),
        ([pd.DataFrame(X[0].T), torch.ones(3, 5)], [(3, 4), (3, 5)]),
        (X.astype(int), [(3, 4), (3, 4)]),
    ],
)
def test_shapes(given: Any, shapes: list[tuple[int, int]]) -> None:
    sequences = read_sequences(given)
    assert [x.shape for x in sequences] == shapes
    assert all(x.dtype == np.float32 for x in sequences)
    assert sequences[0][0, 0] == 0


def test_an_object_array_of_arrays_is_a_list() -> None:
    ragged = np.empty(2, object)
    ragged[:] = [X[0], X[1, :, :2]]
    assert [x.shape for x in read_sequences(ragged)] == [(3, 4), (3, 2)]


def test_missing_values_stay() -> None:
    assert np.isnan(read_sequences([[1.0, np.nan], [1.0, 2.0]])[0][0, 1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X[0, 0], "array"),
        (X[None], r"X: expected shape \(n, channels, time\) or \(n, time\), got \(1, 2, 3, 4\)"),
        (X[:0], "0 sample"),
        (X[:, :, :0], "X: expected at least one sequence, channel and step"),
        ([X[0], X[0, :2]], "X: sequence 1 has 2 channels, sequence 0 has 3"),
        ([X[0], X[0, :, :0]], r"X: sequence 1: expected shape \(channels >= 1, time >= 1\)"),
        ([X[0], 3.0], "X: sequence 1: expected an array"),
        ([X[0], X], "X: sequence 1: expected an array"),
        (np.where(X == 3, np.inf, X), "infinity"),
        ([X[0], np.full((3, 1), np.inf)], "X: sequence 1: expected finite values or NaN, got infinity"),
        (X * 1j, "Complex data not supported"),
        ([X[0], X[1, :, :2] * 1j], "X: sequence 1: expected an array of numbers: Complex data not supported"),
        ([X[0], [["a"]] * 3], "X: sequence 1: expected an array of numbers"),
        ([X[0], [[1, 2], [1]]], "X: sequence 1: expected an array of numbers"),
        ([X[0], X[1, :, :2] * 1e300], "X: sequence 1: expected finite values"),
        (sparse.csr_array(X[0]), "Sparse data"),
        ([["a", "b"]], "could not convert string to float"),
        (None, "array"),
    ],
)
def test_refusals(given: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        read_sequences(given)


def test_another_number_of_channels_than_in_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="X: sequence 0 has 3 channels, fit saw 2"):
        read_sequences(X, channels=2)


def test_the_last_good_value_is_held() -> None:
    nan = np.nan
    x = np.array([[nan, 1, nan, nan, 2], [nan] * 5, [1, 2, 3, 4, 5]], np.float32)
    held = hold_missing(x, np.array([7, 8, 9], np.float32))
    np.testing.assert_array_equal(held, [[7, 1, 1, 1, 2], [8] * 5, [1, 2, 3, 4, 5]])


@pytest.mark.parametrize(
    ("given", "wrong"),
    [([], "X: expected at least one sequence, got an empty list"), (1e30 * X + 1e30, "X: sequence 0: .* at most 1e")],
)
def test_nothing_and_too_much_are_refused(given: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong) as error:
        read_sequences(given)
    assert "\n" not in str(error.value)
