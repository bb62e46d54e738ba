"""`SequenceClassifier`, `SequenceRegressor` and `SequenceForecaster`: networks with scikit-learn's manners."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone, is_regressor
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from multiresconv import load
from multiresconv.estimators import SequenceClassifier, SequenceForecaster, SequenceRegressor

LENGTHS = "sequences may have any length, so that X has no number of features that a later X must repeat"
TINY: dict[str, Any] = {"d_model": 4, "n_layers": 1, "epochs": 1, "batch_size": 8, "random_state": 0}
CANNOT_APPLY = {
    "check_n_features_in": LENGTHS,
    "check_n_features_in_after_fitting": LENGTHS,
    "check_classifiers_train": LENGTHS,
}
ROUNDING = {"check_methods_subset_invariance": "float32 sums depend on the batch in their last digits"}
CANNOT_LEARN = "one epoch of a tiny network, so that the checks are fast, does not reach the score that is asked for"
UNTRAINED = {"check_regressors_train": CANNOT_LEARN}

Sequences = list[NDArray[np.float32]]


def tones(n: int = 40, channels: int = 2) -> tuple[Sequences, NDArray[np.str_]]:
    """Sequences of lengths 20 to 29 with a slow or a fast oscillation."""
    random = np.random.default_rng(3)
    sequences, labels = [], []
    for number in range(n):
        speed, time = (0.3, 1.4)[number % 2], np.arange(20 + number % 10)
        x = np.sin(speed * time + random.uniform(0, 6)) + 0.1 * random.normal(size=(channels, len(time)))
        sequences.append(x.astype(np.float32))
        labels.append(("slow", "fast")[number % 2])
    return sequences, np.array(labels)


@pytest.mark.slow
@parametrize_with_checks(
    [
        SequenceClassifier("ridge", n_filters=8, random_state=0),
        SequenceRegressor("ridge", n_filters=8, random_state=0),
        SequenceClassifier("network", **TINY),
        SequenceRegressor("network", **TINY),
    ],
    expected_failed_checks=lambda estimator: (
        CANNOT_APPLY
        | (UNTRAINED if estimator.method == "network" else {})
        | (ROUNDING if is_regressor(estimator) and estimator.method == "ridge" else {})
    ),
)
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module", params=["ridge", "network", "both"])
def fitted(request: pytest.FixtureRequest) -> SequenceClassifier:
    X, y = tones()
    options = {"d_model": 16, "n_layers": 2, "epochs": 12, "batch_size": 8, "lr": 0.01, "n_filters": 8}
    return SequenceClassifier(request.param, random_state=0, **options).fit(X, y)


@pytest.mark.slow
def test_it_learns_and_streams_what_it_predicts(fitted: SequenceClassifier) -> None:
    X, y = tones()
    assert fitted.score(X, y) > 0.9
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    for row in (0, 1):
        stream = fitted.stream()
        for chunk in np.array_split(X[row], [3, 4, 11], axis=1):
            answer = stream(chunk)
        np.testing.assert_allclose(answer.probabilities, probabilities[row], atol=1e-5)
        assert (answer.label, answer.steps, answer.decided) == (fitted.predict(X)[row], X[row].shape[1], None)


@pytest.mark.slow
def test_a_stream_of_a_window_predicts_from_its_last_steps(fitted: SequenceClassifier) -> None:
    X, _ = tones()
    x = np.concatenate(X[:2], axis=1)
    stream, end = fitted.stream(window=20, hop=5), 0
    for chunk in np.array_split(x, [3, 4, 11, 38], axis=1):
        answer, end = stream(chunk), end + chunk.shape[1]
        begin = max(0, -(-(end - 20) // 5) * 5)
        wanted = fitted.predict_proba([x[:, begin:end]])[0]
        np.testing.assert_allclose(answer.probabilities, wanted, atol=1e-5)


@pytest.mark.slow
def test_an_early_decision_stays(fitted: SequenceClassifier) -> None:
    X, _ = tones()
    stream = fitted.stream(threshold=0.6, patience=3)
    answers = [stream(step) for step in X[1].T]
    certain = [a.probabilities.max() >= 0.6 for a in answers]
    labels = [a.label for a in answers]
    runs = [n for n in range(2, len(answers)) if all(certain[n - 2 : n + 1]) and len({*labels[n - 2 : n + 1]}) == 1]
    assert runs
    assert all(a.decided is None for a in answers[: runs[0]])
    assert all((a.decided, a.decided_at) == (labels[runs[0]], runs[0] + 1) for a in answers[runs[0] :])


@pytest.mark.slow
def test_nothing_is_decided_before_min_steps(fitted: SequenceClassifier) -> None:
    X, _ = tones()
    stream = fitted.stream(threshold=0.01, patience=2, min_steps=7)
    answers = [stream(step) for step in X[1].T]
    runs = [n for n in range(7, len(answers)) if answers[n].label == answers[n - 1].label]
    assert [a.decided_at for a in answers] == [None if n < runs[0] else runs[0] + 1 for n in range(len(answers))]


@pytest.mark.slow
def test_pickled_cloned_and_seeded_alike(fitted: SequenceClassifier) -> None:
    X, y = tones()
    expected = fitted.predict_proba(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), expected)
    drawn = torch.random.get_rng_state()
    np.testing.assert_array_equal(clone(fitted).fit(X, y).predict_proba(X), expected)
    assert torch.equal(torch.random.get_rng_state(), drawn)  # the caller's generator is left alone


@pytest.mark.slow
def test_missing_values_and_a_saved_folder(tmp_path: Path) -> None:
    X, y = tones()
    for x in X:
        x[0, 5:8] = np.nan
    classifier = SequenceClassifier("network", **TINY).fit(X, y)
    classifier.save(tmp_path / "model")
    model = load(tmp_path / "model")
    assert (model.output.names, model.input.missing) == (("fast", "slow"), "mask")
    with torch.no_grad():
        logits = model(torch.from_numpy(X[0].T.copy())[None])
    np.testing.assert_allclose(logits.softmax(1).numpy(), classifier.predict_proba(X[:1]), atol=1e-6)


@pytest.mark.slow
def test_it_is_saved_and_loaded_or_has_two_models(fitted: SequenceClassifier, tmp_path: Path) -> None:
    X, _ = tones()
    if fitted.method_ == "both":
        with pytest.raises(ValueError, match="save: expected one model, method_ is 'both'"):
            fitted.save(tmp_path / "model")
        return
    fitted.save(tmp_path / "model")
    loaded = SequenceClassifier.load(tmp_path / "model")
    assert loaded.method_ == fitted.method_
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    with pytest.raises(ValueError, match="expected a model from signals to a value, got one from signal to class"):
        SequenceRegressor.load(tmp_path / "model")


def test_classes_that_are_numbers_are_numbers_again(tmp_path: Path) -> None:
    X, y = tones()
    numbers = np.where(y == "fast", 7, -3)
    classifier = SequenceClassifier("ridge", n_filters=4, random_state=0).fit(X, numbers)
    classifier.save(tmp_path)
    loaded = SequenceClassifier.load(tmp_path)
    assert loaded.classes_.dtype == classifier.classes_.dtype
    np.testing.assert_array_equal(loaded.predict(X), classifier.predict(X))
    (tmp_path / "classes.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"classes\.json: expected the classes -3, 7 of the model"):
        SequenceClassifier.load(tmp_path)
    SequenceClassifier("ridge", n_filters=4, random_state=0).fit(X, y).save(tmp_path)
    assert SequenceClassifier.load(tmp_path).classes_.tolist() == ["fast", "slow"]


def test_frames_have_time_in_rows_and_nothing_but_missing_values_is_refused() -> None:
    X, y = tones()
    frames = [pd.DataFrame(x.T, columns=["a", "b"]) for x in X]
    classifier = SequenceClassifier("ridge", n_filters=4, random_state=0).fit(X, y)
    np.testing.assert_array_equal(classifier.predict_proba(frames), classifier.predict_proba(X))
    with pytest.raises(ValueError, match="X: expected values, all of them are missing"):
        SequenceClassifier("ridge", n_filters=4).fit([np.full_like(x, np.nan) for x in X], y)
    with pytest.raises(ValueError, match=r"all need the same number; an array is \(channels, time\)"):
        classifier.predict([x.T for x in X])


@pytest.mark.slow
def test_explanations_add_up_to_the_logits(fitted: SequenceClassifier) -> None:
    X, _ = tones()
    if fitted.method_ == "both":
        with pytest.raises(ValueError, match="explain: expected one model, method_ is 'both'"):
            fitted.explain(X)
        return
    parts = fitted.explain(X)
    assert [p.shape for p in parts] == [(2, x.shape[1]) for x in X]
    logits = np.array([p.sum(1) for p in parts])
    np.testing.assert_allclose(
        np.exp(logits) / np.exp(logits).sum(1, keepdims=True), fitted.predict_proba(X), atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ridge", "network"])
def test_a_loaded_regressor_has_the_targets_shape(method: Any, tmp_path: Path) -> None:
    X, _ = tones()
    y = 1000.0 + np.array([x.shape[1] for x in X])
    regressor = SequenceRegressor(method, n_filters=8, **TINY).fit(X, y)
    regressor.save(tmp_path / "model")
    loaded = SequenceRegressor.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(X), regressor.predict(X))
    parts = np.array([p.sum(1) for p in regressor.explain(X)])[:, 0]
    model = regressor.ridge_ or regressor.model_
    scale = model.target_standardise
    np.testing.assert_allclose(parts * scale.std.item() + scale.mean.item(), regressor.predict(X), rtol=1e-5)


@pytest.mark.slow
def test_auto_chooses_by_the_validation_score(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = tones()
    assert SequenceClassifier(n_filters=8, random_state=0).fit(X, y).method_ == "ridge"
    monkeypatch.setattr("multiresconv.estimators.combined.FEW", 10)
    classifier = SequenceClassifier(n_filters=8, **TINY).fit(X, y)
    assert classifier.scores_ is not None
    assert classifier.scores_.keys() == {"ridge", "network", "both"}
    assert classifier.scores_[classifier.method_] == max(classifier.scores_.values())
    regressor = SequenceRegressor(n_filters=8, **TINY).fit(X, np.array([x.shape[1] for x in X], float))
    assert regressor.scores_ is not None
    assert regressor.scores_[regressor.method_] == min(regressor.scores_.values())
    assert regressor.predict(X).shape == (40,)


@pytest.mark.slow
def test_a_grid_search() -> None:
    X = np.stack([x[0, :20] for x in tones()[0]])
    search = GridSearchCV(SequenceClassifier("network", **TINY), {"d_model": [4, 8]}, cv=2).fit(X, tones()[1])
    assert search.best_params_["d_model"] in (4, 8)


@pytest.mark.slow
def test_several_targets_in_their_units() -> None:
    X, _ = tones()
    y = np.stack([1000.0 + np.array([x.shape[1] for x in X]), -0.001 * np.arange(40)], axis=1)
    regressor = SequenceRegressor("network", **TINY).fit(X, y)
    predicted = regressor.predict(X)
    assert predicted.shape == y.shape
    assert 990 < predicted[:, 0].mean() < 1040
    stream = regressor.stream()
    for step in X[0].T:
        last = stream(step)
    np.testing.assert_allclose(last, predicted[0], rtol=1e-5)


@pytest.mark.slow
def test_forecasts_after_the_end_of_series() -> None:
    time = np.arange(200)
    series = np.stack([50 + np.sin(time / 3), -time / 10]).astype(np.float32)
    forecaster = SequenceForecaster(5, context=32, **TINY).fit(series)
    median, quantiles = forecaster.predict(), forecaster.predict_quantiles([series[:, :90], series])
    assert median.shape == (1, 2, 5)
    assert quantiles.shape == (2, 2, 5, 3)
    assert (np.diff(quantiles, axis=3) >= 0).all()
    np.testing.assert_allclose(median[0], quantiles[1, ..., 1], rtol=1e-5)
    stream = forecaster.stream()
    for chunk in np.array_split(series, 7, axis=1):
        last = stream(chunk)
    np.testing.assert_allclose(last, quantiles[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "forest"}, "method: expected one of auto, ridge, network, both, got 'forest'"),
        ({"method": "network", "d_model": 0}, "d_model: expected at least 1, got 0"),
        ({"method": "network", "epochs": 0}, r"trainer\.epochs: expected null or at least 1, got 0"),
        ({"method": "network", "time_limit": 0}, "time_limit: expected more than 0 seconds"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    X, y = tones()
    with pytest.raises(ValueError, match=message):
        SequenceClassifier(**{"random_state": 0, **options}).fit(X, y)


def test_a_threshold_is_a_probability() -> None:
    X, y = tones()
    classifier = SequenceClassifier("ridge", n_filters=4, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"threshold: expected more than 0 and at most 1, got 1\.5"):
        classifier.stream(threshold=1.5)
    with pytest.raises(ValueError, match="patience: expected at least 1, got 0"):
        classifier.stream(threshold=0.5, patience=0)
    with pytest.raises(ValueError, match="min_steps: expected at least 1, got 0"):
        classifier.stream(threshold=0.5, min_steps=0)
    with pytest.raises(ValueError, match="window: expected at least 1 step, got 0"):
        classifier.stream(window=0)
    with pytest.raises(ValueError, match="hop: expected a window too"):
        classifier.stream(hop=3)
