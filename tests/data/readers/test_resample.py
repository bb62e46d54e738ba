"""Resampling keeps a slow sine, and the places of missing values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data.readers.resample import resample

RATES = st.sampled_from([50, 100, 128, 250, 360, 500, 44.1])


def sine(rate: float, length: int, offset: float) -> np.ndarray:
    return (offset + np.sin(2 * np.pi * 2.0 * np.arange(length) / rate + 0.3))[None].astype(np.float32)


@examples(30)
@given(rate=RATES, wanted=RATES, seconds=st.integers(4, 12), offset=st.sampled_from([0, -5, 40]))
def test_a_resampled_sine_is_that_sine(rate: float, wanted: float, seconds: int, offset: float) -> None:
    length = round(seconds * rate)
    found = resample(sine(rate, length, offset), rate, wanted)
    assert found.dtype == np.float32
    assert abs(found.shape[1] - length * wanted / rate) <= 1 + 1e-3 * length
    expected = sine(wanted, found.shape[1], offset)
    edge = round(wanted)  # a second, within which the filter sees the end
    np.testing.assert_allclose(found[:, edge:-edge], expected[:, edge:-edge], atol=5e-3, rtol=1e-4)


@examples(30)
@given(rate=RATES, wanted=RATES, gap=st.tuples(st.integers(0, 390), st.integers(1, 200)))
def test_missing_values_stay_missing_and_spoil_no_other(rate: float, wanted: float, gap: tuple[int, int]) -> None:
    values = np.vstack([np.ones((1, 400)), np.full((1, 400), np.nan), np.linspace(0, 1, 400)[None]]).astype(np.float32)
    values[0, gap[0] : gap[0] + gap[1]] = np.nan
    found = resample(values, rate, wanted)
    at = np.arange(found.shape[1]) * rate / wanted
    inside = (at > gap[0] + 0.6) & (at < gap[0] + gap[1] - 1.6)
    outside = (at < gap[0] - 0.6) | (at > gap[0] + gap[1] - 0.4)
    assert np.isnan(found[0, inside]).all()
    np.testing.assert_allclose(found[0, outside], 1, atol=1e-3)
    assert np.isnan(found[1]).all()
    assert not np.isnan(found[2]).any()


def test_the_same_rate_changes_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    assert resample(values, 100, 100) is values
    assert resample(values, 100, 100.001) is values


@pytest.mark.parametrize(("rate", "wanted"), [(100, 0.01), (0.01, 100), (0, 1), (1, float("nan"))])
def test_impossible_rates_are_told(rate: float, wanted: float) -> None:
    with pytest.raises(ValueError, match="rate: expected"):
        resample(np.zeros((1, 5), np.float32), rate, wanted)
