"""`PredictionStream`: classifies a sequence while it arrives, and decides as soon as it is certain enough."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Prediction(NamedTuple):
    """What a classifier says of a sequence so far.

    Attributes:
        label: the most probable class.
        probabilities: (n_classes,), in the order of `classes_`.
        steps: number of time steps so far.
        decided: the class that was decided on, which then stays; None until then.
        decided_at: number of time steps at the decision, or None.
    """

    label: Any
    probabilities: NDArray[np.float64]
    steps: int
    decided: Any = None
    decided_at: int | None = None


class PredictionStream:
    """Classifies one sequence that arrives step by step or in chunks, and decides as soon as it is certain enough.

    A decision needs the same class with a probability of at least `threshold` in `patience` calls in a row, of which
    the first comes after `min_steps` time steps at the earliest. This is the rule of aeon's
    `ProbabilityThresholdEarlyClassifier`, whose calls are its decision points.

    Args:
        probabilities: takes a step (channels,) or a chunk (channels, t), returns the probabilities after it.
        classes: the classes.
        threshold: between 0 and 1; None never decides.
        patience: at least 1.
        min_steps: time steps before which nothing is decided.
    """

    def __init__(
        self,
        probabilities: Callable[[ArrayLike], NDArray[np.float64]],
        classes: NDArray[Any],
        *,
        threshold: float | None,
        patience: int,
        min_steps: int = 1,
    ) -> None:
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"threshold: expected more than 0 and at most 1, got {threshold}")
        if patience < 1:
            raise ValueError(f"patience: expected at least 1, got {patience}")
        self._probabilities, self._classes = probabilities, classes
        if min_steps < 1:
            raise ValueError(f"min_steps: expected at least 1, got {min_steps}")
        self._threshold, self._patience, self._min_steps = threshold, patience, min_steps
        self._steps = self._in_a_row = 0
        self._last: int | None = None
        self._decided: tuple[Any, int] | None = None

    def __call__(self, x: ArrayLike) -> Prediction:
        """Take a step (channels,) or a chunk (channels, t), in raw units, NaN where a value is missing."""
        probabilities = self._probabilities(x)
        self._steps += np.shape(x)[1] if np.ndim(x) == 2 else 1
        best = int(probabilities.argmax())
        certain = (
            self._threshold is not None
            and self._steps >= self._min_steps
            and bool(probabilities[best] >= self._threshold)
        )
        self._in_a_row = (self._in_a_row + 1 if best == self._last else 1) if certain else 0
        self._last = best if certain else None
        if self._decided is None and self._in_a_row >= self._patience:
            self._decided = self._classes[best], self._steps
        return Prediction(self._classes[best], probabilities, self._steps, *(self._decided or (None, None)))
