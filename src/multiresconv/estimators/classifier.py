"""`SequenceClassifier`: classes from untrained features with ridge regression, from a trained network, or from both."""

import json
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import ClassifierMixin

from multiresconv.data.recordings import RecordingSplit, TableData
from multiresconv.data.recordings.targets import Targets
from multiresconv.estimators.classes import read_classes
from multiresconv.estimators.combined import CombinedEstimator, Method
from multiresconv.estimators.early import PredictionStream
from multiresconv.estimators.network import Plan
from multiresconv.estimators.outputs import names_of
from multiresconv.estimators.sequences import read_sequences
from multiresconv.files import write_json
from multiresconv.tasks import Classify, ClassifyOptions

CLASSES = "classes.json"  # beside the model, if the classes are numbers


class SequenceClassifier(ClassifierMixin, CombinedEstimator):
    """Classifies sequences of any lengths.

    Args:
        method: "ridge" fits ridge regression on untrained features, within seconds (`MultiresRidge`); "network" trains
            a `MultiresClassifier`; "both" averages their probabilities. "auto" is "ridge" for up to 300 sequences; for
            more it fits both and keeps what is most accurate on the validation sequences.
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
        ridge_: the fitted `MultiresRidge`, or None.
        model_: the trained `MultiresClassifier`, or None.
        scores_: for "auto" with more than 300 sequences, accuracy of each method on the validation sequences.

    Example:
        >>> classifier = SequenceClassifier(random_state=0).fit(X, y)  # X: (n, channels, time), (n, time), or a list
        >>> classifier.predict(X_new).shape
        (4,)
    """

    _best = staticmethod(max)
    _kind = "class"

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
        self._check_method()
        classes, index = read_classes(y)
        sequences = read_sequences(X)
        if len(sequences) != len(index):
            raise ValueError(f"X, y: inconsistent numbers of samples: {len(sequences)} sequences, {len(index)} classes")
        self.classes_ = classes
        self._fit(sequences, index)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities (n, n_classes)."""
        return self._answers(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each sequence, (n,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def stream(
        self,
        *,
        threshold: float | None = None,
        patience: int = 1,
        min_steps: int = 1,
        window: int | None = None,
        hop: int | None = None,
    ) -> PredictionStream:
        """Return an object that classifies one sequence after every step or chunk.

        Args:
            threshold: decide on a class once its probability is at least this; None never decides.
            patience: number of calls in a row that must agree before a decision.
            min_steps: time steps before which nothing is decided. The probabilities were calibrated on whole sequences:
                after a few steps they are often too certain.
            window: most time steps that an answer depends on; None for all since the beginning. See `SlidingWindow`.
            hop: an answer depends on at least window - hop + 1 steps, once there are as many; default a quarter of the
                window. A step costs ``ceil(window / hop)`` times as much.
        """
        options: dict[str, Any] = {"threshold": threshold, "patience": patience, "min_steps": min_steps}
        return PredictionStream(self._stream(window, hop), self.classes_, **options)

    def _task(self, plan: Plan, y: NDArray[Any]) -> tuple[Classify, Targets]:
        weights: Any = self.class_weights
        task = Classify(TableData(), ClassifyOptions(weights), plan.model(pooling="max"))
        return task, Targets("class", names_of(self.classes_), y)

    def _answers_of(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return softmax(outputs, axis=-1)

    def save(self, folder: str | PathLike[str]) -> None:
        """As in `CombinedEstimator`; classes that are numbers stand in a file of their own, `classes.json`."""
        super().save(folder)
        path = Path(folder) / CLASSES
        if self.classes_.dtype.kind in "biuf":
            write_json(path, self.classes_.tolist())
        else:
            path.unlink(missing_ok=True)

    def _name_outputs(self, names: tuple[str, ...], folder: Path) -> None:
        path = folder / CLASSES
        try:
            self.classes_ = np.array(json.loads(path.read_text(encoding="utf-8")) if path.is_file() else names)
            fits = names_of(self.classes_) == names
        except (ValueError, RecursionError, AttributeError):
            fits = False
        if not fits:
            raise ValueError(
                f"{path}: expected the classes {', '.join(names)} of the model; delete it to have them as texts"
            )

    def _score(self, answers: NDArray[np.float64], rows: RecordingSplit, task: Any) -> float:
        return float((answers.argmax(1) == rows.targets.values).mean())
