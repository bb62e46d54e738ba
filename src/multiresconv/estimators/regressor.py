"""`SequenceRegressor`: numbers from untrained features with ridge regression, from a trained network, or from both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import mean_squared_error
from sklearn.utils import check_array
from sklearn.utils.validation import column_or_1d

from multiresconv.data.recordings import RecordingSplit, TableData
from multiresconv.data.recordings.targets import Targets
from multiresconv.estimators.combined import CombinedEstimator, Method
from multiresconv.estimators.network import Plan
from multiresconv.estimators.sequences import read_sequences
from multiresconv.models.description import numbered
from multiresconv.tasks import Regress


class SequenceRegressor(RegressorMixin, CombinedEstimator):
    """Predicts one or several numbers from sequences of any lengths.

    Args:
        method: "ridge" fits ridge regression on untrained features, within seconds (`MultiresRidge`); "network" trains
            a `MultiresRegressor`; "both" averages their predictions. "auto" is "ridge" for up to 300 sequences; for
            more it fits both and keeps what has the smallest squared error on the validation sequences, each target in
            its standard deviations.
        n_filters, d_model, n_layers, epochs, batch_size, lr, patience: see `SequenceClassifier`.
        validation_share, time_limit, random_state, verbose: see `SequenceClassifier`.

    Attributes:
        method_: what was chosen, "ridge", "network" or "both".
        ridge_: the fitted `MultiresRidge`, or None.
        model_: the trained `MultiresRegressor`, or None.
        scores_: for "auto" with more than 300 sequences, squared error of each method on the validation sequences.
    """

    _best = staticmethod(min)
    _kind = "value"

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
        self._check_method()
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
        self._one_target = y.ndim == 1
        self._fit(sequences, y.reshape(len(y), -1))
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the predictions, shaped like y in `fit`."""
        answers = self._answers(X)
        return self._shaped(answers)

    def stream(self, *, window: int | None = None, hop: int | None = None) -> Callable[[ArrayLike], Any]:
        """Return a function that takes a step (channels,) or a chunk (channels, t) of one sequence.

        It returns the prediction for the sequence so far, a number or (n_targets,).

        Args:
            window: most time steps that an answer depends on; None for all since the beginning. See `SlidingWindow`.
            hop: an answer depends on at least window - hop + 1 steps, once there are as many; default a quarter of the
                window. A step costs ``ceil(window / hop)`` times as much.
        """
        answer = self._stream(window, hop)
        return lambda x: self._shaped(answer(x))

    def _shaped(self, answers: NDArray[np.float64]) -> Any:
        return answers[..., 0] if self._one_target else answers

    def _task(self, plan: Plan, y: NDArray[Any]) -> tuple[Regress, Targets]:
        return Regress(TableData(), plan.model()), Targets("value", numbered("value", y.shape[1]), y.astype(np.float32))

    def _answers_of(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return outputs

    def _name_outputs(self, names: tuple[str, ...], folder: Path) -> None:
        self._one_target = len(names) == 1

    def _score(self, answers: NDArray[np.float64], rows: RecordingSplit, task: Any) -> float:
        std = task.scale[1]
        return float(mean_squared_error(rows.targets.values / std, answers / std))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
