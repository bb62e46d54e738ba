"""`SequenceRidgeClassifier` and `SequenceRidgeRegressor`: `SequenceFeatures` and ridge regression, also as a stream."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from multiresconv.estimators.classes import read_classes
from multiresconv.estimators.features import SequenceFeatures
from multiresconv.estimators.outputs import names_of, outputs_of, running
from multiresconv.estimators.sequences import read_sequences
from multiresconv.models import Output, save
from multiresconv.models.description import numbered
from multiresconv.tasks.ridge import ALPHAS, fit_ridge_model


class Judgement(NamedTuple):
    """What a classifier says of the sequence so far.

    Attributes:
        label: the class with the largest score.
        scores: (n_classes,) regression scores, -1 for "not this class" to 1.
        probabilities: (n_classes,), see `SequenceRidgeClassifier.predict_proba`.
    """

    label: Any
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]


class _SequenceRidge(BaseEstimator):
    """What the classifier and the regressor share: parameters, features and the linear model."""

    def __init__(
        self,
        n_filters: int = 96,
        *,
        kernel_size: int | None = 6,
        wavelets: Sequence[str] | None = None,
        n_thresholds: int = 4,
        alphas: Sequence[float] = ALPHAS,
        random_state: Any = None,
    ) -> None:
        self.n_filters = n_filters
        self.kernel_size = kernel_size
        self.wavelets = wavelets
        self.n_thresholds = n_thresholds
        self.alphas = alphas
        self.random_state = random_state

    def _fit_model(self, X: Any, targets: NDArray[Any], output: Output) -> None:
        """Fit features and linear model to targets, see `fit_ridge_model`."""
        alphas = np.asarray(self.alphas, np.float64)
        if alphas.ndim != 1 or not alphas.size or not (alphas > 0).all():
            raise ValueError(f"alphas: expected a list of penalties above 0, got {self.alphas!r}")
        sequences = read_sequences(X)
        if len(sequences) != len(targets):
            raise ValueError(
                f"X, y: inconsistent numbers of samples, {len(sequences)} sequences and {len(targets)} targets"
            )
        self.features_ = SequenceFeatures(
            self.n_filters, kernel_size=self.kernel_size, wavelets=self.wavelets, n_thresholds=self.n_thresholds,
            random_state=self.random_state,
        ).fit(sequences)  # fmt: skip
        fitted = fit_ridge_model(self.features_.module_, sequences, targets, output, alphas=list(alphas))
        self.model_, self.alpha_, self.sharpness_ = fitted.model, fitted.alpha, fitted.sharpness
        self.n_channels_in_ = self.features_.n_channels_in_

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Return logits or values (n, k)."""
        check_is_fitted(self)
        return outputs_of(self.model_, read_sequences(X, channels=self.n_channels_in_))

    def save(self, folder: str | PathLike[str]) -> None:
        """Save the model as a model folder, which `multiresconv.load` and `multiresconv predict` read."""
        check_is_fitted(self)
        save(self.model_, folder)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


class SequenceRidgeClassifier(ClassifierMixin, _SequenceRidge):
    """Classifies sequences by ridge regression on untrained multiresolution features.

    Each class is a target of -1 and 1. The penalty is chosen by leave-one-out errors. Memory grows with the square of
    the number of training sequences or of features, the smaller of the two, and with their product.

    Args:
        n_filters, kernel_size, wavelets, n_thresholds, random_state: see `SequenceFeatures`.
        alphas: penalties to choose from; see `fit_ridge` for their scale.

    Attributes:
        classes_: the classes, sorted.
        features_: the fitted `SequenceFeatures`.
        model_: the fitted `MultiresRidge`.
        alpha_: the penalty that was chosen.
        sharpness_: factor of the scores in the softmax of `predict_proba`.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to sequences X, see `read_sequences`, and their classes y (n,)."""
        self.classes_, index = read_classes(y)
        self._fit_model(X, index, Output("class", names_of(self.classes_)))
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return scores (n, n_classes); for two classes (n,), half the difference, above 0 for the second class."""
        scores = self._outputs(X) / self.sharpness_
        return scores if len(self.classes_) > 2 else (scores[:, 1] - scores[:, 0]) / 2

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class with the largest score of each sequence, (n,)."""
        outputs = self._outputs(X)  # raises if not fitted
        return self.classes_[outputs.argmax(1)]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities (n, n_classes): a softmax of the scores times `sharpness_`; see `fit_ridge_model`."""
        return softmax(self._outputs(X), axis=1)

    def stream(self, *, window: int | None = None, hop: int | None = None) -> "ClassifierStream":
        """Return an object that judges one sequence after every step or chunk.

        Args:
            window: most time steps that an answer depends on; None for all since the beginning. See `SlidingWindow`.
            hop: an answer depends on at least window - hop + 1 steps, once there are as many; default a quarter of the
                window. A step costs ``ceil(window / hop)`` times as much.
        """
        check_is_fitted(self)
        return ClassifierStream(self, running(self.model_, window, hop))


class SequenceRidgeRegressor(RegressorMixin, _SequenceRidge):
    """Predicts numbers from sequences by ridge regression on untrained multiresolution features.

    Args:
        n_filters, kernel_size, wavelets, n_thresholds, random_state: see `SequenceFeatures`.
        alphas: penalties to choose from; see `fit_ridge` for their scale.

    Attributes:
        features_: the fitted `SequenceFeatures`.
        model_: the fitted `MultiresRidge`.
        alpha_: the penalty that was chosen.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to sequences X, see `read_sequences`, and targets y, (n,) or (n, n_outputs)."""
        if y is None:
            raise ValueError("y: expected targets, got None; requires y to be passed, but the target y is None")
        options: dict[str, Any] = {"dtype": np.float64, "ensure_2d": False}  # annotated too narrowly there
        y = check_array(y, input_name="y", **options)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._one_output = y.ndim == 1
        values = y.reshape(len(y), -1)
        self._fit_model(X, values, Output("value", numbered("value", values.shape[1])))
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the predictions, shaped like y in `fit`."""
        return self.shaped(self._outputs(X))

    def stream(self, *, window: int | None = None, hop: int | None = None) -> "RegressorStream":
        """Return an object that predicts from one sequence after every step or chunk.

        Args:
            window, hop: see `SequenceRidgeClassifier.stream`.
        """
        check_is_fitted(self)
        return RegressorStream(self, running(self.model_, window, hop))

    def shaped(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return outputs (..., k), without the last axis if `fit` saw one target per sequence."""
        return outputs[..., 0] if self._one_output else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class ClassifierStream:
    """Judges one sequence that arrives step by step; see `SequenceRidgeClassifier.stream`.

    Args:
        classifier: the fitted classifier; it may not be fitted again while the stream is used.
        outputs: the outputs of its model after a step or chunk.
    """

    def __init__(
        self, classifier: SequenceRidgeClassifier, outputs: Callable[[ArrayLike], NDArray[np.float64]]
    ) -> None:
        self._classifier, self._outputs = classifier, outputs

    def __call__(self, x: ArrayLike) -> Judgement:
        """Take a step (channels,) or a chunk (channels, t) and judge the sequence so far."""
        logits = self._outputs(x)
        label = self._classifier.classes_[logits.argmax()]
        return Judgement(label, logits / self._classifier.sharpness_, softmax(logits))


class RegressorStream:
    """Predicts from one sequence that arrives step by step; see `SequenceRidgeRegressor.stream`.

    Args:
        regressor: the fitted regressor; it may not be fitted again while the stream is used.
        outputs: the outputs of its model after a step or chunk.
    """

    def __init__(self, regressor: SequenceRidgeRegressor, outputs: Callable[[ArrayLike], NDArray[np.float64]]) -> None:
        self._regressor, self._outputs = regressor, outputs

    def __call__(self, x: ArrayLike) -> Any:
        """Take a step (channels,) or a chunk (channels, t); return the prediction, a number or (n_outputs,)."""
        return self._regressor.shaped(self._outputs(x))
