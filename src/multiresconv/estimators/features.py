"""`SequenceFeatures`: untrained multiresolution features of sequences, which stream exactly."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from multiresconv.estimators.sequences import Sequences, hold_missing, read_sequences
from multiresconv.ops import default_depth, wavelet_taps
from multiresconv.ops.shares import STATISTICS, quantile_thresholds, share_counts, shares

# Sequences, drawn for each filter, whose coefficients give the thresholds.
_SAMPLED = 2
# Largest number of channels that a random filter mixes.
_MOST_MIXED = 9


class SequenceFeatures(TransformerMixin, BaseEstimator):
    """Turns sequences into features for a linear model: shares of the coefficients of untrained filters.

    Each filter mixes some channels and computes the coefficients of the multiresolution tree. Their series are compared
    with quantiles of the training sequences; `multiresconv.ops.shares` defines the three shares per threshold. All are
    between 0 and 1 and comparable between sequences of different lengths.

    Channels are standardised by the mean and standard deviation of the training sequences, not sequence by sequence:
    the level and the scale of a sequence stay visible, and a stream needs no later sample. Sequences whose level and
    scale mean nothing should be normalised before.

    The depth J is chosen so that the filters reach back half of the longest training sequence.

    A missing value (NaN) is replaced by the last good value of its channel, before the first one by the training mean.
    If a training sequence has missing values, the share of missing values of each channel is a feature too.

    Args:
        n_filters: number of filters F.
        kernel_size: K >= 2, taps of a random filter.
        wavelets: names of wavelets such as ("haar", "db2", "sym4"), whose taps are used in turn instead of random ones;
            `kernel_size` must be None then. For one channel, each is used once at most.
        n_thresholds: thresholds T per series.
        random_state: seed or `RandomState` of filters, mixes and the sequences that give the thresholds.

    Attributes:
        bank_: filters and thresholds, see `multiresconv.ops.shares.Bank`.
        mean_, std_: (channels,) of the training sequences.
        n_channels_in_: number of channels.
        missing_in_fit_: True if a training sequence had missing values.
    """

    def __init__(
        self,
        n_filters: int = 96,
        *,
        kernel_size: int | None = 6,
        wavelets: Sequence[str] | None = None,
        n_thresholds: int = 4,
        random_state: Any = None,
    ) -> None:
        self.n_filters = n_filters
        self.kernel_size = kernel_size
        self.wavelets = wavelets
        self.n_thresholds = n_thresholds
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw filters and take statistics and thresholds from training sequences; see `read_sequences` for X."""
        self._check_parameters()
        sequences = read_sequences(X)
        generator = np.random.default_rng(check_random_state(self.random_state).randint(2**31, size=4))
        values = np.concatenate(sequences, axis=1, dtype=np.float64)
        missing = np.isnan(values)
        self.n_channels_in_ = len(values)
        self.missing_in_fit_ = bool(missing.any())
        count = np.maximum((~missing).sum(1), 1)
        mean = np.where(missing, 0, values).sum(1) / count
        spread = np.where(missing, 0, values - mean[:, None])
        std = np.sqrt((spread**2).sum(1) / count)
        self.mean_ = mean.astype(np.float32)
        self.std_ = np.where(std > 0, std, 1).astype(np.float32)
        h0, h1 = self._taps(generator)
        mix = random_mixes(len(h0), self.n_channels_in_, generator)
        longest = max(x.shape[1] for x in sequences)
        depth = default_depth(-(-longest // 2), h0.shape[1])
        self.bank_ = quantile_thresholds(
            self._prepare(sequences), mix, h0, h1, depth, self.n_thresholds, n_samples=_SAMPLED, generator=generator
        )
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the features, (n, F * J * 2 * 3 * T), and behind them the shares of missing values if fit saw any.

        A sequence of 500 steps has some 14,000 features with the default parameters, 55 KB.
        """
        check_is_fitted(self)
        sequences = read_sequences(X, channels=self.n_channels_in_)
        features = shares(self._prepare(sequences), self.bank_).reshape(len(sequences), -1)
        if not self.missing_in_fit_:
            return features
        return np.hstack([features, np.array([share_missing(np.isnan(x).sum(1), x.shape[1]) for x in sequences])])

    def stream(self) -> "FeatureStream":
        """Return an object that gives the features of one sequence after every step or chunk."""
        check_is_fitted(self)
        return FeatureStream(self)

    def standardise(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return x (C, T) minus the training mean, divided by the training standard deviation."""
        return (x - self.mean_[:, None]) / self.std_[:, None]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return names such as "filter3_b2_rises_5": filter, series (a or b with its scale), statistic, threshold."""
        check_is_fitted(self)
        filters, depth, _, count = self.bank_.thresholds.shape
        names = [
            f"filter{f}_{series}{j}_{statistic}_{t}"
            for f in range(filters)
            for j in range(1, depth + 1)
            for series in "ab"
            for statistic in STATISTICS
            for t in range(count)
        ]
        if self.missing_in_fit_:
            names += [f"missing{c}" for c in range(self.n_channels_in_)]
        return np.array(names, dtype=object)

    def _prepare(self, sequences: Sequences) -> Sequences:
        zero = np.zeros(self.n_channels_in_, np.float32)
        return [hold_missing(self.standardise(x), zero) for x in sequences]

    def _taps(self, generator: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self.wavelets is None:
            assert self.kernel_size is not None  # see _check_parameters
            return random_taps(self.n_filters, self.kernel_size, generator)
        count = self.n_filters if self.n_channels_in_ > 1 else min(self.n_filters, len(self.wavelets))
        return wavelet_bank(self.wavelets, count)

    def _check_parameters(self) -> None:
        for name, least in (("n_filters", 1), ("n_thresholds", 1)):
            value = getattr(self, name)
            if not hasattr(value, "__index__") or value < least:
                raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
        if (self.kernel_size is None) == (self.wavelets is None):
            raise ValueError(
                f"kernel_size, wavelets: expected one of them, the other None, got {self.kernel_size!r} and "
                f"{self.wavelets!r}"
            )
        if self.wavelets is not None and (isinstance(self.wavelets, str) or not len(self.wavelets)):
            raise ValueError(f"wavelets: expected a list of names, got {self.wavelets!r}")
        if self.kernel_size is not None and (not hasattr(self.kernel_size, "__index__") or self.kernel_size < 2):
            raise ValueError(f"kernel_size: expected an integer of at least 2, got {self.kernel_size!r}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class FeatureStream:
    """The features of one sequence that arrives step by step; see `SequenceFeatures.stream`.

    After any steps or chunks it returns the same bits as `SequenceFeatures.transform` of the sequence so far. A step
    costs the same at any length; the memory is about n_filters numbers for each step that the filters reach back.

    Args:
        features: the fitted transformer; it may not be fitted again while the stream is used.
    """

    def __init__(self, features: SequenceFeatures) -> None:
        self._features = features
        self._counts = share_counts(features.bank_)
        self._last = np.zeros(features.n_channels_in_, np.float32)
        self._missing = np.zeros(features.n_channels_in_, np.int64)

    def __call__(self, x: ArrayLike) -> NDArray[np.float32]:
        """Take one step (channels,), for one channel also a number, or a chunk (channels, t); return the features.

        Raises:
            ValueError: another shape, no step, or an infinite value.
        """
        self.advance(x)
        return self.features()

    def advance(self, x: ArrayLike) -> None:
        """Take a step or a chunk without computing the features."""
        chunk = self._chunk(x)
        filled = hold_missing(self._features.standardise(chunk), self._last)
        self._counts.advance(filled)
        self._last = filled[:, -1].copy()
        self._missing += np.isnan(chunk).sum(1)

    def features(self) -> NDArray[np.float32]:
        """Return the features of the steps so far, as a row of `transform`.

        Raises:
            ValueError: there was no step yet.
        """
        if not self._counts.steps:
            raise ValueError("features: expected at least one step before, got none")
        row = self._counts.shares().ravel()
        if not self._features.missing_in_fit_:
            return row
        return np.concatenate([row, share_missing(self._missing, self._counts.steps)])

    def _chunk(self, x: ArrayLike) -> NDArray[np.float32]:
        channels = self._features.n_channels_in_
        chunk = np.asarray(x, np.float32)
        if chunk.ndim == 0 and channels == 1:
            chunk = chunk[None]
        if chunk.ndim == 1:
            chunk = chunk[:, None]
        if chunk.ndim != 2 or len(chunk) != channels or not chunk.shape[1]:
            raise ValueError(
                f"x: expected a step ({channels},) or a chunk ({channels}, steps >= 1), got shape {np.shape(x)}"
            )
        if np.isinf(chunk).any():
            raise ValueError("x: expected finite values or NaN, got an infinite one")
        return chunk


def share_missing(count: NDArray[np.int64], length: int) -> NDArray[np.float32]:
    return (count / length).astype(np.float32)


def random_taps(
    n_filters: int, kernel_size: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return h0 and h1 (F, K) with normal taps of norm 1; the taps of h1 sum to zero, so that it ignores the level."""
    low, high = generator.normal(size=(2, n_filters, kernel_size))
    high -= high.mean(1, keepdims=True)
    low, high = (h / np.linalg.norm(h, axis=1, keepdims=True) for h in (low, high))
    return low.astype(np.float32), high.astype(np.float32)


def wavelet_bank(names: Sequence[str], n_filters: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return h0 and h1 (F, K) of the wavelets in turn; shorter ones have zeros as their oldest taps."""
    pairs = [tuple(h.numpy().astype(np.float32) for h in wavelet_taps(name)) for name in names]
    longest = max(len(pair[0]) for pair in pairs)
    padded = [[np.pad(h, (longest - len(h), 0)) for h in pair] for pair in pairs]
    low, high = (np.stack([padded[f % len(names)][part] for f in range(n_filters)]) for part in (0, 1))
    return low, high


def random_mixes(n_filters: int, channels: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return weights (F, C) of norm 1: normal for a random subset of the channels, rather a small one; else 0."""
    mixes = np.zeros((n_filters, channels), np.float32)
    if channels == 1:
        mixes[:] = 1
        return mixes
    for mix in mixes:
        size = int(2 ** generator.uniform(0, np.log2(min(channels, _MOST_MIXED) + 1)))
        weights = generator.normal(size=size)
        mix[generator.choice(channels, size, replace=False)] = weights / np.linalg.norm(weights)
    return mixes
