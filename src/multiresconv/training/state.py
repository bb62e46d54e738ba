"""The position of a run, stored in a checkpoint beside the model and the optimizer."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor


@dataclass
class Best:
    """The best validation so far."""

    step: int
    epoch: int
    score: float
    scores: dict[str, Tensor]  # the result of `compute()` of the task's scores, on the CPU


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
    def from_dict(cls, values: dict[str, Any]) -> "RunState":
        best = values["best"]
        return cls(**{**values, "best": None if best is None else Best(**best)})
