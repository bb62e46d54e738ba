"""The ridge estimators: they learn, stream, give honest probabilities and pass scikit-learn's checks."""

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import is_regressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from multiresconv.estimators import SequenceFeatures, SequenceRidgeClassifier, SequenceRidgeRegressor

LENGTHS = "sequences may have any length, so that X has no number of features that a later X must repeat"
CANNOT_APPLY = {
    "check_n_features_in": LENGTHS,
    "check_n_features_in_after_fitting": LENGTHS,
    "check_transformer_general": LENGTHS,
    "check_classifiers_train": LENGTHS,
}
ROUNDING = {"check_methods_subset_invariance": "float32 sums depend on the batch in their last digits"}


@parametrize_with_checks(
    [
        SequenceFeatures(n_filters=3, n_thresholds=2, random_state=0),
        SequenceRidgeClassifier(n_filters=8, n_thresholds=2, random_state=0),
        SequenceRidgeRegressor(n_filters=8, n_thresholds=2, random_state=0),
    ],
    expected_failed_checks=lambda estimator: CANNOT_APPLY | (ROUNDING if is_regressor(estimator) else {}),
)
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def tones(generator: np.random.Generator, n: int) -> tuple[list[NDArray[np.float32]], NDArray[np.str_]]:
    """Noisy sines of three frequencies, of two channels and any length."""
    index = np.arange(n) % 3
    frequencies = np.array([0.05, 0.11, 0.23])[index]
    some = []
    for frequency in frequencies:
        t, phase = np.arange(generator.integers(40, 90)), generator.uniform(0, 6)
        wave = np.stack([np.sin(2 * np.pi * frequency * t + phase), np.zeros(len(t))])
        some.append((wave + generator.normal(0, 0.5, wave.shape)).astype(np.float32))
    return some, np.array(["slow", "middle", "fast"])[index]


def test_a_classifier_learns_and_its_stream_ends_with_its_prediction() -> None:
    generator = np.random.default_rng(0)
    x, y = tones(generator, 60)
    classifier = SequenceRidgeClassifier(24, random_state=0).fit(x, y)
    new, truth = tones(generator, 60)
    scores, probabilities = classifier.decision_function(new), classifier.predict_proba(new)
    assert classifier.classes_.tolist() == ["fast", "middle", "slow"]
    assert (classifier.predict(new) == truth).mean() > 0.9
    assert scores.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    for sequence, score, probability in zip(new[:5], scores, probabilities, strict=False):
        stream = classifier.stream()
        for step in sequence.T:
            judgement = stream(step)
        np.testing.assert_allclose(judgement.scores, score, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(judgement.probabilities, probability, rtol=1e-5, atol=1e-5)
        assert judgement.label == classifier.classes_[score.argmax()]
    stream = classifier.stream(window=30, hop=10)
    for step in new[0].T:
        judgement = stream(step)
    begin = -(-(new[0].shape[1] - 30) // 10) * 10
    np.testing.assert_allclose(judgement.scores, classifier.decision_function([new[0][:, begin:]])[0], atol=1e-5)


def test_probabilities_are_neither_certain_nor_blind() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(200, 30))
    y = np.where(generator.random(200) < 0.8, x.mean(1) > 0, x.mean(1) < 0)  # a fifth of the labels is wrong
    classifier = SequenceRidgeClassifier(16, random_state=0).fit(x[:100], y[:100])
    chosen = classifier.predict_proba(x[100:]).max(1)
    right = (classifier.predict(x[100:]) == y[100:]).mean()
    assert abs(chosen.mean() - right) < 0.15
    np.testing.assert_array_equal(classifier.decision_function(x[100:]) > 0, classifier.predict(x[100:]))


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor_learns_and_streams(outputs: int) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(90, 2, 50)) * generator.uniform(0.5, 2, (90, 1, 1))
    y = np.stack([x[:, 0].std(1), -x[:, 1].std(1)], 1)[:, :outputs].squeeze()
    regressor = SequenceRidgeRegressor(24, random_state=0).fit(x[:60], y[:60])
    found = regressor.predict(x[60:])
    assert found.shape == y[60:].shape
    assert regressor.score(x[60:], y[60:]) > 0.8
    stream = regressor.stream()
    for start in range(0, 50, 7):
        last = stream(x[60, :, start : start + 7])
    np.testing.assert_allclose(last, found[0], rtol=1e-5)
    np.testing.assert_allclose(regressor.stream(window=20, hop=20)(x[60]), regressor.predict(x[60:61, :, 40:])[0], 1e-5)


def test_pickle_pipeline_and_grid_search() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(24, 20)), np.arange(24) % 2
    pipeline = make_pipeline(FunctionTransformer(), SequenceRidgeClassifier(4, random_state=0))
    search = GridSearchCV(pipeline, {"sequenceridgeclassifier__n_thresholds": [1, 2]}, cv=2).fit(x, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(search)).predict(x), search.predict(x))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((3, 4)), [1, 1, 1], "y: expected at least 2 classes, got 1 class: 1"),
        (np.ones((3, 4)), [1, 2], "X, y: inconsistent numbers of samples, 3 sequences and 2 targets"),
        (np.ones((2, 4)), [0.5, 1.25], "Unknown label type"),
        (np.ones((2, 4)), None, "y: expected classes, got None"),
    ],
)
def test_bad_targets_are_refused(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceRidgeClassifier(2).fit(x, y)


@pytest.mark.parametrize("alphas", [(), (1, 0), 3])
def test_bad_penalties_are_refused(alphas: Any) -> None:
    with pytest.raises(ValueError, match="alphas: expected a list of penalties above 0"):
        SequenceRidgeRegressor(2, alphas=alphas).fit(np.ones((2, 4)), [0, 1])
