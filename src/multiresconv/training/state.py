"""The position of a run, stored in a checkpoint beside the model and the optimizer."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from multiresconv.fields import AMOUNT, COUNT, FLAG, MAPPING, NUMBER, Kind, check_fields, or_none


@dataclass
class Best:
    """A validation: the best one so far; step and epoch are 0 for a model that was fitted at once, before training."""

    step: int
    epoch: int
    score: float
    scores: dict[str, Tensor]  # the result of `compute()` of the task's scores, on the CPU

    def rank(self, *, maximize: bool) -> tuple[float, float]:
        """Return a pair that is larger for a better validation; the loss decides between equal scores."""
        return (self.score if maximize else -self.score, -float(self.scores["loss"]))


@dataclass
class RunState:
    """Position and running sums of a run. One step is one optimizer step over all processes."""

    step: int = 0
    validated_epochs: int = 0
    awaits_validation: bool = False  # the last step of an epoch is done, its validation is not
    seconds: float = 0.0  # of training and validation, over all resumptions
    best: Best | None = None
    last_score: float | None = None

    # sums since the last line of metrics.jsonl
    loss_sum: float = 0.0
    hits: float = 0.0
    rows: int = 0
    interval_seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Convert to numbers, strings, tensors and dicts only, so that the checkpoint loads with `weights_only`."""
        return asdict(self)

    @property
    def trained_epochs(self) -> int:
        """Number of epochs whose training steps are all done."""
        return self.validated_epochs + self.awaits_validation

    @classmethod
    def from_dict(cls, values: Any) -> "RunState":
        """Convert back from `to_dict`.

        Raises:
            ValueError: a field is missing, unknown, of another type or out of range, or two contradict each other.
        """
        check_fields(values, _STATE, "state")
        best = values["best"]
        if best is not None:
            check_fields(best, _BEST, "state: best")
            check_fields(best["scores"], {}, "state: best: scores", others=_TENSOR)
        state = cls(**{**values, "best": None if best is None else Best(**best)})
        state._check()
        return state

    def _check(self) -> None:
        """Raise ValueError if fields contradict each other."""
        validated = self.validated_epochs > 0
        fitted = self.best is not None and self.best.epoch == 0
        if (self.best is not None, self.last_score is not None) != (validated or fitted, validated):
            raise ValueError(
                f"state: expected {'a' if validated else 'no'} best and last score after {self.validated_epochs} "
                "validations"
            )
        if self.trained_epochs > self.step:
            raise ValueError(f"state: expected at least {self.trained_epochs} steps, one an epoch, got {self.step}")
        if self.best is not None and (self.best.step > self.step or self.best.epoch > self.validated_epochs):
            raise ValueError(f"state: best: step {self.best.step}, epoch {self.best.epoch} is after the checkpoint")


_TENSOR = Kind("a tensor", lambda value: isinstance(value, Tensor))
_BEST = {"step": COUNT, "epoch": COUNT, "score": NUMBER, "scores": MAPPING}
_STATE = {
    "step": COUNT,
    "validated_epochs": COUNT,
    "awaits_validation": FLAG,
    "seconds": AMOUNT,
    "best": or_none(MAPPING),
    "last_score": or_none(NUMBER),
    "loss_sum": NUMBER,
    "hits": AMOUNT,
    "rows": COUNT,
    "interval_seconds": AMOUNT,
}
