"""Areas under curves: scikit-learn's, ties, weights and classes without both outcomes included."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from sklearn.metrics import average_precision_score, roc_auc_score

from multiresconv.tasks.multilabel_ranking import auroc, average_precision, bootstrap_macro_auroc

cases = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([-2.5, -1.0, 0.0, 0.25, 1e6]) | st.floats(-5, 5, width=32), min_size=n, max_size=n),
        st.lists(st.integers(0, 1), min_size=n, max_size=n),
        st.integers(0, 2**32 - 1),
    )
)


@given(cases)
def test_areas_are_scikit_learns(case):
    logits, labels = np.array(case[0], np.float32), np.array(case[1], np.uint8)
    area, precision = auroc(logits, labels), average_precision(logits, labels)
    assert area.shape == (1,)
    if 0 < labels.sum() < len(labels):
        assert abs(area[0] - roc_auc_score(labels, logits)) < 1e-12
        assert abs(precision - average_precision_score(labels, logits)) < 1e-12
    else:
        assert np.isnan(area[0])
        assert np.isnan(precision) == (not labels.any())


@given(cases)
def test_weighted_areas_are_those_of_repeated_rows(case):
    logits, labels = np.array(case[0], np.float32), np.array(case[1], np.uint8)
    weights = np.random.default_rng(case[2]).integers(0, 3, (len(logits), 4))
    areas = auroc(logits, labels, weights.astype(np.float64))
    for area, times in zip(areas, weights.T, strict=True):
        expected = auroc(np.repeat(logits, times), np.repeat(labels, times))[0]
        assert abs(area - expected) < 1e-12 or (np.isnan(area) and np.isnan(expected))


def naive_bootstrap(logits, labels, resamples, seed):
    random, macros = np.random.default_rng(seed), []
    for _ in range(resamples):
        rows = random.integers(len(logits), size=len(logits))
        areas = [
            roc_auc_score(labels[rows, i], logits[rows, i])
            for i in range(labels.shape[1])
            if 0 < labels[rows, i].sum() < len(rows)
        ]
        macros.append(np.mean(areas) if areas else np.nan)
    return np.array(macros)


@examples(15)
@given(n=st.integers(2, 30), n_labels=st.integers(1, 4), rate=st.floats(0.02, 0.6), seed=st.integers(0, 1000))
def test_the_bootstrap_is_the_naive_one(n, n_labels, rate, seed):
    random = np.random.default_rng(seed + 1)
    labels = (random.random((n, n_labels)) < rate).astype(np.uint8)
    logits = (random.normal(size=labels.shape) + labels).round(1)
    macros = bootstrap_macro_auroc(logits, labels, resamples=20, seed=seed)
    np.testing.assert_allclose(macros, naive_bootstrap(logits, labels, 20, seed), atol=1e-12, rtol=0)


def test_the_bootstrap_does_not_depend_on_how_many_are_in_memory(monkeypatch):
    random = np.random.default_rng(0)
    labels = (random.random((50, 3)) < 0.3).astype(np.uint8)
    logits = random.normal(size=labels.shape)
    whole = bootstrap_macro_auroc(logits, labels, resamples=33, seed=4)
    monkeypatch.setattr("multiresconv.tasks.multilabel_ranking.CHUNK", 500)
    np.testing.assert_array_equal(bootstrap_macro_auroc(logits, labels, resamples=33, seed=4), whole)
    assert len(set(bootstrap_macro_auroc(logits, labels, resamples=33, seed=5)) & set(whole)) < 5
