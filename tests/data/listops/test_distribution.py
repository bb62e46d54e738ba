"""Generated rows have the distribution of the Long Range Arena: two-sample tests against rows of its own generator."""

import re

import numpy as np
import pytest
from paths import SHARED
from scipy.stats import chi2_contingency, ks_2samp

from multiresconv.data.listops import generate_listops, read_listops, split_path

SAMPLE = SHARED / "listops" / "basic_sample.tsv"
ONE_VALUE_PER_ROW = ("length", "operators", "mean arity", "mean depth")
ONE_CLASS_PER_ROW = ("label", "deepest", "first operator", "first arity")

pytestmark = pytest.mark.skipif(not SAMPLE.is_file(), reason="the public sample is not beside this checkout")


def statistics(path):
    """What the tests compare. Rows are independent, what is inside a row is not: hence one number of each row."""
    found = {name: [] for name in (*ONE_VALUE_PER_ROW, *ONE_CLASS_PER_ROW)}
    found["operator"] = []  # the exception: kinds are independent of all else
    for row in read_listops(path):
        kinds = re.findall(r"\[M?(AX|IN|ED|SM)", row.source)
        arities = [len(run) // 2 - 1 for run in re.findall(r"((?:\( )+)\[", row.source)]  # n + 1 parentheses before it
        tokens = row.tokens[:-1].astype(int)
        depths = np.cumsum((tokens >= 13) & (tokens < 17)) - np.cumsum(tokens == 17)
        for name, value in {
            "length": len(tokens),
            "operators": len(kinds),
            "mean arity": np.mean(arities),
            "mean depth": depths.mean(),
            "label": row.label,
            "deepest": depths.max(),
            "first operator": kinds[0],
            "first arity": arities[0],
        }.items():
            found[name].append(value)
        found["operator"] += kinds
    return {name: np.array(values) for name, values in found.items()}


def p_value(name, one, other):
    """Kolmogorov-Smirnov for numbers, chi-square for classes, leaving out those too rare for it."""
    if name in ONE_VALUE_PER_ROW:
        return ks_2samp(one[name], other[name]).pvalue  # pyright: ignore[reportAttributeAccessIssue]
    classes = np.unique(np.concatenate([one[name], other[name]]))
    table = np.array([[(sample[name] == c).sum() for c in classes] for sample in (one, other)])
    table = table[:, table.sum(0) >= 10]
    return chi2_contingency(table).pvalue  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(scope="module")
def published():
    return statistics(SAMPLE)


def generated(folder, **changes):
    generate_listops(folder, n_train=2000, n_val=1, n_test=1, progress=False, seed=11, **changes)
    return statistics(split_path(folder, "train"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return generated(tmp_path_factory.mktemp("ours"))


@pytest.mark.parametrize("name", [*ONE_VALUE_PER_ROW, *ONE_CLASS_PER_ROW, "operator"])
def test_same_distribution(published, ours, name):
    assert p_value(name, published, ours) > 1e-3


@pytest.mark.parametrize("probability", [0.24, 0.26])
def test_another_operator_probability_is_seen(published, tmp_path, probability):
    other = generated(tmp_path, _operator_probability=probability)
    assert p_value("mean depth", published, other) < 1e-9


@pytest.mark.parametrize(
    ("change", "name"),
    [({"max_depth": 9}, "deepest"), ({"max_args": 9}, "mean arity"), ({"min_length": 600}, "length")],
)
def test_other_limits_are_seen(published, tmp_path, change, name):
    assert p_value(name, published, generated(tmp_path, **change)) < 1e-9
