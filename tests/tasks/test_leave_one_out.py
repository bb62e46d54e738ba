"""Ridge regression with exact leave-one-out predictions."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from multiresconv.tasks.leave_one_out import fit_ridge


@pytest.mark.parametrize(("n", "p"), [(12, 40), (40, 12), (15, 15), (3, 1), (2, 5)])
@pytest.mark.parametrize("alpha", [1e-2, 1.0])
def test_it_is_scikit_learns_ridge_and_leaves_out_what_it_says(n: int, p: int, alpha: float) -> None:
    generator = np.random.default_rng(n * p)
    x, y = generator.normal(3, 2, (n, p)), generator.normal(1, 1, (n, 2))
    scaled = (x - x.mean(0)) / x.std(0) / np.sqrt(p)
    fitted = fit_ridge(x, y, [alpha])
    theirs = Ridge(alpha=alpha).fit(scaled, y)
    np.testing.assert_allclose(x @ fitted.coef + fitted.intercept, theirs.predict(scaled), rtol=1e-6, atol=1e-6)
    for i in range(n):
        rest = np.arange(n) != i
        expected = Ridge(alpha=alpha).fit(scaled[rest], y[rest]).predict(scaled[i : i + 1])[0]
        np.testing.assert_allclose(fitted.left_out[i], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("n", "p"), [(16, 40), (40, 12)])
def test_groups_are_left_out_together_and_rows_are_weighted(n: int, p: int) -> None:
    generator = np.random.default_rng(n)
    x, y = generator.normal(3, 2, (n, p)), generator.normal(1, 1, (n, 2))
    groups, weights = generator.integers(0, 5, n), generator.uniform(0.5, 3, n)
    weights *= n / weights.sum()
    mean = np.average(x, axis=0, weights=weights)
    scaled = (x - mean) / np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights)) / np.sqrt(p)
    fitted = fit_ridge(x, y, [0.3], groups.tolist(), weights)
    theirs = Ridge(alpha=0.3).fit(scaled, y, weights)
    np.testing.assert_allclose(x @ fitted.coef + fitted.intercept, theirs.predict(scaled), rtol=1e-6, atol=1e-6)
    for group in range(5):
        rest = groups != group
        expected = Ridge(alpha=0.3).fit(scaled[rest], y[rest], weights[rest]).predict(scaled[~rest])
        np.testing.assert_allclose(fitted.left_out[~rest], expected, rtol=1e-5, atol=1e-6)


def test_one_group_alone_is_left_out_row_by_row() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(9, 4)), generator.normal(size=(9, 1))
    np.testing.assert_array_equal(fit_ridge(x, y, [1.0], ["a"] * 9).left_out, fit_ridge(x, y, [1.0]).left_out)


def test_the_penalty_with_the_smallest_error_is_taken() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(30, 50))
    y = x[:, :1] + generator.normal(size=(30, 1))
    alphas = [1e-3, 1e-1, 10.0]
    errors = [((fit_ridge(x, y, [alpha]).left_out - y) ** 2).mean() for alpha in alphas]
    assert fit_ridge(x, y, alphas).alpha == alphas[int(np.argmin(errors))]


def test_constant_features_and_targets_do_no_harm() -> None:
    x = np.zeros((5, 3), np.float32)
    x[:, 1] = 0.1
    x[:, 2] = [1, 2, 3, 4, 5]
    fitted = fit_ridge(x, np.stack([np.full(5, 2.0), np.arange(5.0)], 1), [1e-4])
    assert (fitted.coef[:2] == 0).all()
    np.testing.assert_allclose(
        x @ fitted.coef + fitted.intercept, np.stack([np.full(5, 2.0), np.arange(5.0)], 1), atol=0.01
    )
