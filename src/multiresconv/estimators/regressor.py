"""`SequenceRegressor`: untrained features with ridge regression, a trained network, or both."""

from collections.abc import Callable
from os import PathLike
from typing import Any, Self, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import mean_squared_error
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d

from multiresconv.data.recordings.arrays import recordings_in_memory
from multiresconv.data.recordings.options import TableData
from multiresconv.data.recordings.targets import Targets
from multiresconv.estimators.classifier import FEW, Method
from multiresconv.estimators.network import Plan, outputs_of, train_network
from multiresconv.estimators.ridge import SequenceRidgeRegressor
from multiresconv.estimators.sequences import Sequences, read_sequences
from multiresconv.models import save
from multiresconv.tasks import Regress


class SequenceRegressor(RegressorMixin, BaseEstimator):
    """Predicts one or several numbers from sequences of any lengths.

    Args:
        method: "ridge" fits ridge regression on untrained features, within seconds (`SequenceRidgeRegressor`);
            "network" trains a `MultiresRegressor`; "both" averages their predictions. "auto" is "ridge" for up to 300
            sequences; for more it fits both and keeps what has the smallest squared error on the validation sequences,
            each target in its standard deviations.
        n_filters, d_model, n_layers, epochs, batch_size, lr, patience, validation_share, time_limit, random_state,
            verbose: see `SequenceClassifier`.

    Attributes:
        method_: what was chosen, "ridge", "network" or "both".
        ridge_: the fitted `SequenceRidgeRegressor`, or None.
        model_: the trained `MultiresRegressor`, or None.
        scores_: for "auto" with more than 300 sequences, squared error of each method on the validation sequences.
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
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to sequences X, see `read_sequences`, and targets y, (n,) or (n, n_targets)."""
        if self.method not in get_args(Method):
            raise ValueError(f"method: expected one of {', '.join(get_args(Method))}, got {self.method!r}")
        if y is None:
            raise ValueError("y: expected targets, got None; requires y to be passed, but the target y is None")
        y = np.asarray(check_array(y, dtype="float64", ensure_2d=False, input_name="y"))
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        sequences = read_sequences(X)
        if len(sequences) != len(y):
            raise ValueError(f"X, y: inconsistent numbers of samples: {len(sequences)} sequences, {len(y)} targets")
        if len(sequences) < 2:
            raise ValueError("X: expected at least 2 sequences, got 1 sample")
        self.n_channels_in_ = len(sequences[0])
        self._one_target = y.ndim == 1
        targets = y.reshape(len(y), -1)
        seed = int(check_random_state(self.random_state).randint(2**31))
        self.ridge_, self.model_, self.scores_ = None, None, None
        self.method_ = self.method
        if self.method == "auto":
            self.method_ = "ridge" if len(y) <= FEW else self._choose(sequences, targets, seed)
        if self.method_ in ("ridge", "both"):
            self.ridge_ = self._ridge(seed).fit(sequences, self._shaped(targets))
        if self.method_ in ("network", "both") and self.model_ is None:
            self._fit_network(sequences, targets, seed)
        if self.method_ == "ridge":
            self.model_ = None
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the predictions, shaped like y in `fit`."""
        check_is_fitted(self)
        sequences = read_sequences(X, channels=self.n_channels_in_)
        found = [] if self.ridge_ is None else [self.ridge_.predict(sequences).reshape(len(sequences), -1)]
        if self.model_ is not None:
            found.append(outputs_of(self.model_, sequences))
        return self._shaped(np.mean(found, axis=0))

    def stream(self) -> Callable[[ArrayLike], Any]:
        """Return a function that takes a step (channels,) or a chunk (channels, t) of one sequence.

        It returns the prediction for the sequence so far, a number or (n_targets,).
        """
        check_is_fitted(self)
        ridge = None if self.ridge_ is None else self.ridge_.stream()
        network = None if self.model_ is None else self.model_.stream(1)

        def predict(x: ArrayLike) -> Any:
            x = np.asarray(x, np.float32)
            found = [] if ridge is None else [np.atleast_1d(ridge(x))]
            if network is not None:
                outputs = network(torch.from_numpy(np.ascontiguousarray(x.T)).unsqueeze(0))[0]
                found.append((outputs if x.ndim == 1 else outputs[-1]).double().numpy())
            return self._shaped(np.mean(found, axis=0))

        return predict

    def save(self, folder: str | PathLike[str]) -> None:
        """Save the network as a model folder, which `multiresconv.load` and `multiresconv predict` read.

        Raises:
            ValueError: there is no network, only ridge regression; pickle the estimator instead.
        """
        check_is_fitted(self)
        if self.model_ is None:
            raise ValueError(f"save: expected a network, method_ is {self.method_!r}; pickle the estimator instead")
        save(self.model_, folder)

    def _shaped(self, outputs: NDArray[np.float64]) -> Any:
        return outputs[..., 0] if self._one_target else outputs

    def _ridge(self, seed: int) -> SequenceRidgeRegressor:
        return SequenceRidgeRegressor(self.n_filters, random_state=seed)

    def _fit_network(self, sequences: Sequences, targets: NDArray[np.float64], seed: int) -> Regress:
        names = ("d_model", "n_layers", "epochs", "batch_size", "lr", "patience", "time_limit")
        plan = Plan(**{name: getattr(self, name) for name in names})
        task = Regress(TableData(), plan.model())
        named = Targets("value", tuple(f"value {n + 1}" for n in range(targets.shape[1])), targets.astype(np.float32))
        channels = [f"channel {number + 1}" for number in range(len(sequences[0]))]
        task.recordings = recordings_in_memory(sequences, named, channels, val_share=self.validation_share, seed=seed)
        self.model_ = train_network(task, plan, seed=seed, verbose=self.verbose).model
        return task

    def _choose(self, sequences: Sequences, targets: NDArray[np.float64], seed: int) -> Method:
        """Fit both on the training sequences and return the method that is best on the validation sequences."""
        task = self._fit_network(sequences, targets, seed)
        train, val, (_, std) = task.open("train"), task.open("val"), task.scale
        ridge = self._ridge(seed).fit(
            [train.signal(row).T for row in range(len(train))], self._shaped(train.targets.values)
        )
        held_out = [val.signal(row).T for row in range(len(val))]
        predictions: dict[Method, NDArray[np.float64]] = {
            "ridge": ridge.predict(held_out).reshape(len(held_out), -1),
            "network": outputs_of(self.model_, held_out),
        }
        predictions["both"] = (predictions["ridge"] + predictions["network"]) / 2
        truth = val.targets.values / std
        scores: dict[Method, float] = {
            name: float(mean_squared_error(truth, p / std)) for name, p in predictions.items()
        }
        self.scores_ = scores
        return min(scores, key=lambda name: scores[name])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.target_tags.multi_output = True
        return tags
