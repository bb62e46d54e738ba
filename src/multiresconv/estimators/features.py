"""`SequenceFeatures`: untrained multiresolution features of sequences, which stream exactly."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from multiresconv.estimators.sequences import read_chunk, read_sequences
from multiresconv.models import MultiresFeatures
from multiresconv.models.draw_features import draw_features


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
        module_: the `MultiresFeatures`, with filters, thresholds, mean and standard deviation.
        n_channels_in_: number of channels.
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
        self.module_ = draw_features(
            sequences,
            self.n_filters,
            kernel_size=self.kernel_size,
            wavelets=self.wavelets,
            n_thresholds=self.n_thresholds,
            generator=generator_of(self.random_state),
        )
        self.n_channels_in_ = self.module_.n_inputs
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the features, (n, F * J * 2 * 3 * T), and behind them the shares of missing values if fit saw any.

        A sequence of 500 steps has some 14,000 features with the default parameters, 55 KB.
        """
        check_is_fitted(self)
        return self.module_.of_sequences(read_sequences(X, channels=self.n_channels_in_))

    def stream(self) -> "FeatureStream":
        """Return an object that gives the features of one sequence after every step or chunk."""
        check_is_fitted(self)
        return FeatureStream(self.module_)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return names such as "filter3_b2_rises_5": filter, series (a or b with its scale), statistic, threshold."""
        check_is_fitted(self)
        return np.array(self.module_.feature_names, dtype=object)

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
        module: the fitted features.
    """

    def __init__(self, module: MultiresFeatures) -> None:
        self._channels, self._counter = module.n_inputs, module.counter()

    def __call__(self, x: ArrayLike) -> NDArray[np.float32]:
        """Take one step (channels,), for one channel also a number, or a chunk (channels, t); return the features.

        Raises:
            ValueError: another shape, no step, or an infinite value.
        """
        self.advance(x)
        return self.features()

    def advance(self, x: ArrayLike) -> None:
        """Take a step or a chunk without computing the features."""
        self._counter.advance(read_chunk(x, self._channels))

    def features(self) -> NDArray[np.float32]:
        """Return the features of the steps so far, as a row of `transform`.

        Raises:
            ValueError: there was no step yet.
        """
        if not self._counter.steps:
            raise ValueError("features: expected at least one step before, got none")
        return self._counter.features()


def generator_of(random_state: Any) -> np.random.Generator:
    """Return the generator that draws the filters for a `random_state`."""
    return np.random.default_rng(check_random_state(random_state).randint(2**31, size=4))
