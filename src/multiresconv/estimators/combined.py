"""`CombinedEstimator`: untrained features with ridge regression, a trained network, or both."""

from abc import abstractmethod
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from multiresconv.data.recordings import RecordingSplit
from multiresconv.data.recordings.arrays import recordings_in_memory
from multiresconv.data.recordings.targets import Targets
from multiresconv.estimators.features import generator_of
from multiresconv.estimators.network import Plan, train_network
from multiresconv.estimators.outputs import outputs_of, running
from multiresconv.estimators.sequences import Sequences, read_sequences
from multiresconv.hub import local_folder
from multiresconv.models import MultiresRidge, Output, load_model, save
from multiresconv.models.description import OutputKind
from multiresconv.models.draw_features import draw_features
from multiresconv.tasks.recording_task import FEATURES
from multiresconv.tasks.ridge import fit_ridge_model

Method = Literal["auto", "ridge", "network", "both"]
FEW = 300  # sequences up to which "auto" does not train a network


class CombinedEstimator(BaseEstimator):
    """Base of `SequenceClassifier` and `SequenceRegressor`: fits by the method, chooses it, averages, streams, saves.

    Answers (n, k) are what is averaged and scored: probabilities of classes or values of targets. A subclass has the
    constructor, and says how the outputs of models become answers.
    """

    method: Method
    n_filters: int
    validation_share: float
    random_state: Any
    verbose: bool
    _best: Callable[..., Any]  # max or min
    _kind: str  # of the model's output

    def save(self, folder: str | PathLike[str]) -> None:
        """Save the model as a model folder, which `multiresconv.load` and `multiresconv predict` read.

        Raises:
            ValueError: there are two models, of the method "both"; pickle the estimator instead.
        """
        check_is_fitted(self)
        if len(self._models) > 1:
            raise ValueError("save: expected one model, method_ is 'both'; pickle the estimator instead")
        save(self._models[0], folder)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Self:
        """Return an estimator with the model of a folder, from `save` or from `multiresconv train`, or of a hub.

        Classes are texts then, as in the folder, unless a `SequenceClassifier` of numbers was saved there.

        Raises:
            FileNotFoundError, ValueError: there is no such model, or it is damaged.
        """
        folder = local_folder(folder)
        model = load_model(folder)
        if model.output.kind != cls._kind or model.input.kind != "signal":
            raise ValueError(
                f"{folder}: expected a model from signals to a {cls._kind}, got one from {model.input.kind} to "
                f"{model.output.kind}"
            )
        method: Method = "ridge" if isinstance(model, MultiresRidge) else "network"
        loaded: Any = cls().set_params(method=method)
        loaded.n_channels_in_, loaded.method_, loaded.scores_ = model.input.size, method, None
        loaded.ridge_, loaded.model_ = (model, None) if method == "ridge" else (None, model)
        loaded._name_outputs(model.output.names, Path(folder))
        return loaded

    def explain(self, X: Any) -> list[NDArray[np.float64]]:
        """Split the answer for each sequence over its time steps.

        Returns:
            Arrays (n_outputs, time_i) that add up, over time, to the logits of the classes, or to the values in
            standard deviations from the mean of the training targets. See `contributions` of the model: a contribution
            stands where the model had heard enough.

        Raises:
            ValueError: the method is "both", whose average of two models cannot be split.
        """
        check_is_fitted(self)
        if len(self._models) > 1:
            raise ValueError("explain: expected one model, method_ is 'both'; explain with another method")
        sequences = read_sequences(X, channels=self.n_channels_in_)
        with torch.no_grad():
            found = [self._models[0].contributions(torch.from_numpy(x.T.copy())[None])[0] for x in sequences]
        return [parts.double().numpy().T for parts in found]

    # To override in subclasses

    @abstractmethod
    def _task(self, plan: Plan, y: NDArray[Any]) -> tuple[Any, Targets]:
        """Return the network's task, without recordings, and the targets y as its data set has them."""

    @abstractmethod
    def _answers_of(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn outputs (..., k) of a model into answers."""

    @abstractmethod
    def _score(self, answers: NDArray[np.float64], rows: RecordingSplit, task: Any) -> float:
        """Return the score of answers (n, k) for validation rows, of which `_best` is the best."""

    @abstractmethod
    def _name_outputs(self, names: tuple[str, ...], folder: Path) -> None:
        """Set what `fit` learns about the targets, from the names of a model's outputs and the folder it is in."""

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
            targets = self._task(Plan.of(self), y)[1]
            self.ridge_ = self._fit_ridge(sequences, targets, seed)
        if self.method_ in ("network", "both") and self.model_ is None:
            self._fit_network(sequences, y, seed)
        if self.method_ == "ridge":
            self.model_ = None

    @property
    def _models(self) -> list[Any]:
        return [model for model in (self.ridge_, self.model_) if model is not None]

    def _check_method(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(f"method: expected one of {', '.join(get_args(Method))}, got {self.method!r}")

    def _answers(self, X: Any) -> NDArray[np.float64]:
        """Return the answers (n, k) for sequences X, see `read_sequences`."""
        check_is_fitted(self)
        sequences = read_sequences(X, channels=self.n_channels_in_)
        return np.mean([self._answers_of(outputs_of(model, sequences)) for model in self._models], axis=0)

    def _stream(self, window: int | None, hop: int | None) -> Callable[[ArrayLike], NDArray[np.float64]]:
        """Return a function from a step (channels,) or a chunk (channels, t) to the answer (k,) after it."""
        check_is_fitted(self)
        streams = [running(model, window, hop) for model in self._models]
        return lambda x: np.mean([self._answers_of(stream(x)) for stream in streams], axis=0)

    def _fit_ridge(self, sequences: Sequences, targets: Targets, seed: int) -> MultiresRidge:
        options = {**FEATURES, "n_filters": self.n_filters}
        features = draw_features(sequences, generator=generator_of(seed), **options)
        output = Output(cast(OutputKind, self._kind), targets.names)
        return fit_ridge_model(features, sequences, targets.values, output).model

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
        ridge, held_out = self._fit_ridge(_signals(train), train.targets, seed), _signals(val)
        answers: dict[Method, NDArray[np.float64]] = {
            "ridge": self._answers_of(outputs_of(ridge, held_out)),
            "network": self._answers_of(outputs_of(self.model_, held_out)),
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
