"""`SequenceClassifier`: untrained features with ridge regression, a trained network, or both."""

from os import PathLike
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from multiresconv.data.recordings.arrays import recordings_in_memory
from multiresconv.data.recordings.options import TableData
from multiresconv.data.recordings.targets import Targets
from multiresconv.estimators.early import PredictionStream
from multiresconv.estimators.network import Plan, outputs_of, train_network
from multiresconv.estimators.ridge import SequenceRidgeClassifier
from multiresconv.estimators.sequences import Sequences, read_sequences
from multiresconv.models import save
from multiresconv.tasks import Classify, ClassifyOptions

Method = Literal["auto", "ridge", "network", "both"]
FEW = 300  # sequences up to which "auto" does not train a network


class SequenceClassifier(ClassifierMixin, BaseEstimator):
    """Classifies sequences of any lengths.

    Args:
        method: "ridge" fits ridge regression on untrained features, within seconds (`SequenceRidgeClassifier`);
            "network" trains a `MultiresClassifier`; "both" averages their probabilities. "auto" is "ridge" for up to
            300 sequences; for more it fits both and keeps what is most accurate on the validation sequences.
        n_filters: of the features; see `SequenceFeatures`.
        d_model, n_layers, epochs, batch_size: of the network and its training; None follows from the amount of data.
        lr: peak learning rate.
        patience: epochs without a better validation after which the training ends; None trains all epochs.
        validation_share: share of the sequences that the network does not train on, to choose its best epoch.
        class_weights: "balanced" weights every class equally in the network's loss, however rare it is.
        time_limit: seconds after which the training of the network ends; the same `random_state` then no longer gives
            the same network.
        random_state: seed, or a `numpy.random.RandomState`.
        verbose: show the progress of the training on standard error.

    Attributes:
        classes_: the classes, sorted.
        method_: what was chosen, "ridge", "network" or "both".
        ridge_: the fitted `SequenceRidgeClassifier`, or None.
        model_: the trained `MultiresClassifier`, or None.
        scores_: for "auto" with more than 300 sequences, accuracy of each method on the validation sequences.

    Example:
        >>> classifier = SequenceClassifier(random_state=0).fit(X, y)  # X: (n, channels, time), (n, time), or a list
        >>> classifier.predict(X_new)
    """

    def __init__(
        self,
        method: Method = "auto",
        *,
        n_filters: int = 96,
        d_model: int | None = None,
        n_layers: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float = 3e-3,
        patience: int | None = 50,
        validation_share: float = 0.15,
        class_weights: Literal["balanced"] | None = None,
        time_limit: float | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.method = method
        self.n_filters = n_filters
        self.d_model = d_model
        self.n_layers = n_layers
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.patience = patience
        self.validation_share = validation_share
        self.class_weights = class_weights
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to sequences X, see `read_sequences`, and their classes y (n,)."""
        if self.method not in get_args(Method):
            raise ValueError(f"method: expected one of {', '.join(get_args(Method))}, got {self.method!r}")
        if y is None:
            raise ValueError("y: expected classes, got None; requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        sequences = read_sequences(X)
        if len(sequences) != len(y):
            raise ValueError(f"X, y: inconsistent numbers of samples: {len(sequences)} sequences, {len(y)} classes")
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected at least 2 classes, got 1 class: {self.classes_[0]!r}")
        self.n_channels_in_ = len(sequences[0])
        seed = int(check_random_state(self.random_state).randint(2**31))
        self.ridge_, self.model_, self.scores_ = None, None, None
        self.method_ = self.method
        if self.method == "auto":
            self.method_ = "ridge" if len(y) <= FEW else self._choose(sequences, index, seed)
        if self.method_ in ("ridge", "both"):
            self.ridge_ = self._ridge(seed).fit(sequences, index)
        if self.method_ in ("network", "both") and self.model_ is None:
            self._fit_network(sequences, index, seed)
        if self.method_ == "ridge":
            self.model_ = None
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities (n, n_classes)."""
        check_is_fitted(self)
        return self._probabilities(read_sequences(X, channels=self.n_channels_in_))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each sequence, (n,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def stream(self, *, threshold: float | None = None, patience: int = 1) -> PredictionStream:
        """Return an object that classifies one sequence after every step or chunk.

        Args:
            threshold: decide on a class once its probability is at least this; None never decides.
            patience: number of calls in a row that must agree before a decision.
        """
        check_is_fitted(self)
        ridge = None if self.ridge_ is None else self.ridge_.stream()
        network = None if self.model_ is None else self.model_.stream(1)

        def probabilities(x: NDArray[np.float32]) -> NDArray[np.float64]:
            found = [] if ridge is None else [ridge(x).probabilities]
            if network is not None:
                steps = torch.from_numpy(np.ascontiguousarray(x.T)).unsqueeze(0)
                logits = network(steps)[0]
                found.append(softmax((logits if x.ndim == 1 else logits[-1]).double().numpy()))
            return np.mean(found, axis=0)

        return PredictionStream(probabilities, self.classes_, threshold=threshold, patience=patience)

    def save(self, folder: str | PathLike[str]) -> None:
        """Save the network as a model folder, which `multiresconv.load` and `multiresconv predict` read.

        Raises:
            ValueError: there is no network, only ridge regression; pickle the estimator instead.
        """
        check_is_fitted(self)
        if self.model_ is None:
            raise ValueError(f"save: expected a network, method_ is {self.method_!r}; pickle the estimator instead")
        save(self.model_, folder)

    def _ridge(self, seed: int) -> SequenceRidgeClassifier:
        return SequenceRidgeClassifier(self.n_filters, random_state=seed)

    def _probabilities(self, sequences: Sequences) -> NDArray[np.float64]:
        found = [] if self.ridge_ is None else [self.ridge_.predict_proba(sequences)]
        if self.model_ is not None:
            found.append(softmax(outputs_of(self.model_, sequences), axis=1))
        return np.mean(found, axis=0)

    def _task(self, sequences: Sequences, index: NDArray[np.intp], seed: int) -> Classify:
        plan = self._plan()
        weights: Any = self.class_weights
        task = Classify(TableData(), ClassifyOptions(weights), plan.model())
        targets = Targets("class", tuple(map(str, self.classes_.tolist())), index.astype(np.int64))
        channels = [f"channel {number + 1}" for number in range(len(sequences[0]))]
        task.recordings = recordings_in_memory(sequences, targets, channels, val_share=self.validation_share, seed=seed)
        return task

    def _fit_network(self, sequences: Sequences, index: NDArray[np.intp], seed: int) -> Classify:
        task = self._task(sequences, index, seed)
        self.model_ = train_network(task, self._plan(), seed=seed, verbose=self.verbose).model
        return task

    def _choose(self, sequences: Sequences, index: NDArray[np.intp], seed: int) -> Method:
        """Fit both on the training sequences and return the method that is best on the validation sequences."""
        task = self._fit_network(sequences, index, seed)
        train, val = task.open("train"), task.open("val")
        fitted = self._ridge(seed).fit([train.signal(row).T for row in range(len(train))], train.targets.values)
        held_out, truth = [val.signal(row).T for row in range(len(val))], val.targets.values
        probabilities: dict[Method, NDArray[np.float64]] = {
            "ridge": self._all_classes(fitted, held_out),
            "network": softmax(outputs_of(self.model_, held_out), axis=1),
        }
        probabilities["both"] = (probabilities["ridge"] + probabilities["network"]) / 2
        scores: dict[Method, float] = {name: float((p.argmax(1) == truth).mean()) for name, p in probabilities.items()}
        self.scores_ = scores
        return max(scores, key=lambda name: scores[name])

    def _all_classes(self, fitted: SequenceRidgeClassifier, sequences: Sequences) -> NDArray[np.float64]:
        """Return probabilities (n, n_classes), 0 for classes that have no training sequence."""
        probabilities = np.zeros((len(sequences), len(self.classes_)))
        probabilities[:, fitted.classes_] = fitted.predict_proba(sequences)
        return probabilities

    def _plan(self) -> Plan:
        names = ("d_model", "n_layers", "epochs", "batch_size", "lr", "patience", "time_limit")
        return Plan(**{name: getattr(self, name) for name in names})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags
