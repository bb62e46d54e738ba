"""Statistics equal those of NumPy on all training rows, one after another."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data.recordings import RecordingSplit, Targets, statistics_of


def split_of(folder: Path, signals: list[np.ndarray]) -> RecordingSplit:
    values = np.memmap(folder / "signals.f32", "<f4", "w+", shape=(sum(map(len, signals)), signals[0].shape[1]))
    values[:] = np.concatenate(signals)
    lengths = np.array([len(signal) for signal in signals])
    targets = Targets("none", (), np.zeros((len(signals), 0), np.float32))
    return RecordingSplit(
        values, np.cumsum(lengths) - lengths, lengths, targets, ["r"] * len(signals), ["g"] * len(signals)
    )


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@examples(25)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    offset=st.sampled_from([0, 1e4]),
    gone=st.sampled_from([0, 0.3]),
    seed=st.integers(0, 99),
)
def test_they_equal_numpys(tmp_path_factory, chunk, lengths, offset, gone, seed) -> None:
    random = np.random.default_rng(seed)
    signals = [(offset + random.normal(size=(n, 3)) * [1, 20, 0.1]).astype(np.float32) for n in lengths]
    for signal in signals:
        signal[random.random(signal.shape) < gone] = np.nan
    signals[0][0] = offset + 1  # a value for each channel
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("multiresconv.data.recordings.split.CHUNK", chunk)
        found = statistics_of(split_of(tmp_path_factory.mktemp("s"), signals), "abc")
    every = np.concatenate(signals).astype(np.float64)
    std = np.nanstd(every, axis=0)
    constant = np.nanmin(every, axis=0) == np.nanmax(every, axis=0)
    np.testing.assert_allclose(found.mean, np.nanmean(every, axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.std, np.where(constant, 1, std), rtol=1e-6, atol=1e-9)
    assert found.has_missing == np.isnan(every).any()
    assert (found.lengths[0.0], found.lengths[1.0]) == (min(lengths), max(lengths))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a row may have no value of a channel
        low = np.nanpercentile([np.nanmin(signal, 0) for signal in signals], 1, axis=0)
        high = np.nanpercentile([np.nanmax(signal, 0) for signal in signals], 99, axis=0)
    np.testing.assert_allclose(found.usual, np.stack([low, high], 1), rtol=1e-5)


def test_channels_that_say_nothing(tmp_path: Path) -> None:
    signals = [np.stack([np.full(5, 0.1), np.full(5, np.nan), np.arange(5)], 1).astype(np.float32)] * 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = statistics_of(split_of(tmp_path, signals), ("flat", "void", "ramp"))
    np.testing.assert_allclose(found.mean, [np.float32(0.1), 0, 2])
    np.testing.assert_allclose(found.std, [1, 1, np.sqrt(2)])
    assert found.usual[1:] == ((0, 0), (0, 4))
    assert found.remarks == (
        "channel flat is always 0.1 in the training rows; its std is taken as 1",
        "channel void has no value in any training row",
    )
