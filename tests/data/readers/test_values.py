"""What is doubtful about a whole signal."""

import numpy as np

from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.values import SignalCheck


def doubts(signal: np.ndarray) -> list[str]:
    channels = Channels(("I", "II"), usual=((-1, 1), (-1, 1)), missing="mask")
    check = SignalCheck(channels, lambda sample, channel: f"sample {sample}, {channel}")
    np.testing.assert_array_equal(check(signal), signal.astype(np.float32))
    return check.doubts()


def test_channels_without_a_value_are_named() -> None:
    signal = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    assert doubts(signal) == []
    signal[:, 1] = np.nan
    assert doubts(signal) == ["60 missing values", "no value of II"]
    assert doubts(signal * np.nan) == ["120 missing values", "no value of I, II"]
    signal[:, 0] = 0.5
    assert doubts(signal) == ["60 missing values", "no value of II", "constant: I (at 0.5)"]
