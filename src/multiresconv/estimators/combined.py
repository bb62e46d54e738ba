"""`CombinedEstimator`: untrained features with ridge regression, a trained network, or both."""

from abc import abstractmethod
from collections.abc import Callable
from os import PathLike
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from multiresconv.data.recordings import RecordingSplit
from multiresconv.data.recordings.arrays import recordings_in_memory
from multiresconv.data.recordings.targets import Targets
from multiresconv.estimators.network import Plan, outputs_of, train_network
from multiresconv.estimators.sequences import Sequences, read_sequences
from multiresconv.models import save

Method = Literal["auto", "ridge", "network", "both"]
FEW = 300  # sequences up to which "auto" does not train a network


class CombinedEstimator(BaseEstimator):
    """Base of `SequenceClassifier` and `SequenceRegressor`: fits by the method, chooses it, averages, streams, saves.

    Answers (n, k) are what the methods have in common: probabilities of classes or values of targets. A subclass has
    the constructor, and says how its ridge regression and its network answer.
    """

    method: Method
    validation_share: float
    random_state: Any
    verbose: bool
    _best: Callable[..., Any]  # max or min

    def save(self, folder: str | PathLike[str]) -> None:
        """Save the network as a model folder, which `multiresconv.load` and `multiresconv predict` read.

        Raises:
            ValueError: there is no network, only ridge regression; pickle the estimator instead.
        """
        check_is_fitted(self)
        if self.model_ is None:
            raise ValueError(f"save: expected a network, method_ is {self.method_!r}; pickle the estimator instead")
        save(self.model_, folder)

    # To override in subclasses

    @abstractmethod
    def _ridge(self, seed: int) -> Any:
        """Return the ridge estimator, not fitted."""

    @abstractmethod
    def _task(self, plan: Plan, y: NDArray[Any]) -> tuple[Any, Targets]:
        """Return the network's task, without recordings, and the targets y as its data set has them."""

    @abstractmethod
    def _ridge_targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return targets as the ridge estimator takes them."""

    @abstractmethod
    def _ridge_answers(self, ridge: Any, sequences: Sequences) -> NDArray[np.float64]:
        """Return the answers (n, k) of a fitted ridge estimator."""

    @abstractmethod
    def _network_answers(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn outputs (..., k) of the network into answers."""

    @abstractmethod
    def _running_answer(self, said: Any) -> NDArray[np.float64]:
        """Turn what the stream of the ridge estimator returns into an answer (k,)."""

    @abstractmethod
    def _score(self, answers: NDArray[np.float64], rows: RecordingSplit, task: Any) -> float:
        """Return the score of answers (n, k) for validation rows, of which `_best` is the best."""

    # What subclasses call

    def _fit(self, sequences: Sequences, y: NDArray[Any]) -> None:
        """Fit by the method to sequences and targets of equal number."""
        self.n_channels_in_ = len(sequences[0])
        seed = int(check_random_state(self.random_state).randint(2**31))
        self.ridge_, self.model_, self.scores_ = None, None, None
        self.method_: Method = self.method
        if self.method == "auto":
            self.method_ = "ridge" if len(y) <= FEW else self._choose(sequences, y, seed)
        if self.method_ in ("ridge", "both"):
            self.ridge_ = self._ridge(seed).fit(sequences, self._ridge_targets(y))
        if self.method_ in ("network", "both") and self.model_ is None:
            self._fit_network(sequences, y, seed)
        if self.method_ == "ridge":
            self.model_ = None

    def _check_method(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(f"method: expected one of {', '.join(get_args(Method))}, got {self.method!r}")

    def _answers(self, X: Any) -> NDArray[np.float64]:
        """Return the answers (n, k) for sequences X, see `read_sequences`."""
        check_is_fitted(self)
        sequences = read_sequences(X, channels=self.n_channels_in_)
        found = [] if self.ridge_ is None else [self._ridge_answers(self.ridge_, sequences)]
        if self.model_ is not None:
            found.append(self._network_answers(outputs_of(self.model_, sequences)))
        return np.mean(found, axis=0)

    def _stream(self) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
        """Return a function from a step (channels,) or a chunk (channels, t) to the answer (k,) after it."""
        check_is_fitted(self)
        ridge = None if self.ridge_ is None else self.ridge_.stream()
        network = None if self.model_ is None else self.model_.stream(1)

        def answer(x: NDArray[np.float32]) -> NDArray[np.float64]:
            found = [] if ridge is None else [self._running_answer(ridge(x))]
            if network is not None:
                outputs = network(torch.from_numpy(np.ascontiguousarray(x.T)).unsqueeze(0))[0]
                found.append(self._network_answers((outputs if x.ndim == 1 else outputs[-1]).double().numpy()))
            return np.mean(found, axis=0)

        return answer

    def _fit_network(self, sequences: Sequences, y: NDArray[Any], seed: int) -> Any:
        plan = Plan.of(self)
        task, targets = self._task(plan, y)
        task.recordings = recordings_in_memory(sequences, targets, val_share=self.validation_share, seed=seed)
        self.model_ = train_network(task, plan, seed=seed, verbose=self.verbose).model
        return task

    def _choose(self, sequences: Sequences, y: NDArray[Any], seed: int) -> Method:
        """Fit both on the training sequences and return the method that is best on the validation sequences."""
        task = self._fit_network(sequences, y, seed)
        train, val = task.open("train"), task.open("val")
        ridge = self._ridge(seed).fit(_signals(train), self._ridge_targets(train.targets.values))
        held_out = _signals(val)
        answers: dict[Method, NDArray[np.float64]] = {
            "ridge": self._ridge_answers(ridge, held_out),
            "network": self._network_answers(outputs_of(self.model_, held_out)),
        }
        answers["both"] = (answers["ridge"] + answers["network"]) / 2
        scores: dict[Method, float] = {name: self._score(found, val, task) for name, found in answers.items()}
        self.scores_ = scores
        return self._best(scores, key=lambda name: scores[name])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


def _signals(rows: RecordingSplit) -> Sequences:
    return [rows.signal(row).T for row in range(len(rows))]
