"""`SequenceFeatures`: laws, missing values, refusals."""

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from multiresconv.estimators import SequenceFeatures
from multiresconv.models.draw_features import random_mixes, random_taps


def ragged(
    generator: np.random.Generator, n: int, channels: int, *, missing: bool = False
) -> list[NDArray[np.float32]]:
    some = [generator.normal(5, 3, (channels, t)).astype(np.float32) for t in generator.integers(1, 90, n)]
    if missing:
        for x in some:
            x[generator.random(x.shape) < 0.2] = np.nan
    return some


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("options", [{}, {"kernel_size": None, "wavelets": ("haar", "db3")}])
def test_a_stream_has_the_bits_of_the_transform(channels: int, missing: bool, options: dict[str, Any]) -> None:
    generator = np.random.default_rng(channels)
    features = SequenceFeatures(7, n_thresholds=3, random_state=0, **options)
    features.fit(ragged(generator, 9, channels, missing=missing))
    for x in ragged(generator, 3, channels, missing=missing):
        stream, start = features.stream(), 0
        while start < x.shape[1]:
            chunk = x[:, start] if generator.random() < 0.5 else x[:, start : start + int(generator.integers(1, 20))]
            start += 1 if chunk.ndim == 1 else chunk.shape[1]
            found = stream(chunk)
            np.testing.assert_array_equal(found, features.transform([x[:, :start]])[0])
        np.testing.assert_array_equal(stream.features(), found)


def test_a_number_is_a_step_of_one_channel() -> None:
    features = SequenceFeatures(2, random_state=0).fit(np.random.default_rng(0).normal(size=(4, 30)))
    stream = features.stream()
    stream.advance(1.5)
    np.testing.assert_array_equal(stream(-2), features.transform([[1.5, -2.0]])[0])


@pytest.mark.parametrize("missing", [False, True])
def test_shape_names_and_range(missing: bool) -> None:
    generator = np.random.default_rng(0)
    some = ragged(generator, 6, 2, missing=missing)
    features = SequenceFeatures(5, n_thresholds=2, random_state=0)
    found = features.fit_transform(some)
    names = features.get_feature_names_out()
    assert found.shape == (6, len(names)) == (6, 5 * features.module_.thresholds.shape[1] * 12 + 2 * missing)
    assert len(set(names)) == len(names)
    assert names[0] == "filter0_a1_above_0"
    assert names[-1] == ("missing1" if missing else names[-1])
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert (found <= 1).all()
    if missing:
        np.testing.assert_allclose(found[:, -2:], [np.isnan(x).mean(1) for x in some], rtol=1e-6)


def test_level_and_scale_of_all_sequences_together_change_little() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(8, 60))
    found, other = (SequenceFeatures(6, random_state=1).fit_transform(values) for values in (x, 1000 + 64 * x))
    assert (np.abs(found - other) > 1.01 / 60).mean() < 1e-3


def test_the_same_seed_gives_the_same_features_also_of_a_clone_and_from_a_pickle() -> None:
    x = np.random.default_rng(0).normal(size=(5, 2, 40))
    features = SequenceFeatures(4, random_state=3)
    found = features.fit_transform(x)
    np.testing.assert_array_equal(clone(features).fit_transform(x), found)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).transform(x), found)
    assert not np.array_equal(SequenceFeatures(4, random_state=4).fit_transform(x), found)


def test_missing_values_before_the_first_good_one_are_the_mean_of_training() -> None:
    x = np.random.default_rng(0).normal(3, 1, (5, 40)).astype(np.float32)
    features = SequenceFeatures(3, random_state=0).fit(x)
    late = x[:1].copy()
    late[0, :4] = np.nan
    filled = late.copy()
    filled[0, :4] = features.module_.standardise.mean[0]
    np.testing.assert_array_equal(features.transform(late), features.transform(filled))


def test_each_wavelet_is_used_once_for_one_channel_and_in_turn_for_more() -> None:
    x = np.random.default_rng(0).normal(size=(3, 2, 40))
    options = {"kernel_size": None, "wavelets": ["haar", "db2", "sym4"]}
    assert len(SequenceFeatures(**options).fit(x[:, 0]).module_.mix) == 3
    h0 = SequenceFeatures(5, **options).fit(x).module_.h0.numpy()
    assert h0.shape == (5, 8)
    np.testing.assert_array_equal(h0[0], h0[3])
    np.testing.assert_allclose(h0[0], [0] * 6 + [0.5**0.5] * 2, rtol=1e-6)


def test_random_filters() -> None:
    generator = np.random.default_rng(0)
    h0, h1 = random_taps(50, 6, generator)
    np.testing.assert_allclose(np.linalg.norm([h0, h1], axis=2), 1, rtol=1e-5)
    np.testing.assert_allclose(h1.sum(1), 0, atol=1e-6)
    mixes = random_mixes(200, 12, generator)
    np.testing.assert_allclose(np.linalg.norm(mixes, axis=1), 1, rtol=1e-5)
    sizes = (mixes != 0).sum(1)
    assert sizes.min() == 1
    assert 5 < sizes.max() <= 9
    assert (random_mixes(3, 1, generator) == 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_filters": 0}, "n_filters: expected an integer of at least 1, got 0"),
        ({"n_thresholds": 1.5}, "n_thresholds: expected an integer of at least 1, got 1.5"),
        ({"kernel_size": 1}, "kernel_size: expected an integer of at least 2, got 1"),
        ({"kernel_size": None}, "kernel_size, wavelets: expected one of them"),
        ({"wavelets": ["haar"]}, "kernel_size, wavelets: expected one of them"),
        ({"kernel_size": None, "wavelets": "haar"}, "wavelets: expected a list of names, got 'haar'"),
        ({"kernel_size": None, "wavelets": ["harr"]}, "wavelet: no discrete wavelet named 'harr'"),
    ],
)
def test_bad_parameters_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceFeatures(**options).fit(np.ones((2, 9)))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (1.0, r"x: expected a step \(2,\) or a chunk \(2, steps >= 1\), got shape \(\)"),
        (np.ones(3), r"got shape \(3,\)"),
        (np.ones((2, 0)), r"got shape \(2, 0\)"),
        (np.array([1, np.inf]), "x: expected finite values or NaN"),
    ],
)
def test_a_stream_refuses(x: Any, message: str) -> None:
    stream = SequenceFeatures(2).fit(np.ones((2, 2, 9))).stream()
    with pytest.raises(ValueError, match=message):
        stream(x)
    with pytest.raises(ValueError, match="expected at least one step before"):
        stream.features()


def test_it_must_be_fitted_first() -> None:
    for call in (lambda: SequenceFeatures().transform(np.ones((1, 3))), SequenceFeatures().stream):
        with pytest.raises(NotFittedError):
            call()
