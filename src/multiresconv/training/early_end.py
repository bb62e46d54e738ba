"""When a run ends before its last epoch: its time is over, or its patience."""

import math
from datetime import timedelta

from multiresconv.training.state import RunState


class EarlyEnd:
    """Tells whether a run ends before its last epoch.

    Args:
        time_limit: of training and validation together; None has no limit.
        patience: epochs without a better validation after which the run ends; None trains all epochs.
        seconds: time used so far.

    Attributes:
        seconds: the caller updates it with the time of the first process, so that all processes agree.

    Raises:
        ValueError: the time limit is not above 0.
    """

    def __init__(self, time_limit: timedelta | None, patience: int | None, seconds: float = 0.0) -> None:
        self.time_limit = math.inf if time_limit is None else time_limit.total_seconds()
        self.patience, self.seconds = patience, seconds
        if self.time_limit <= 0:
            raise ValueError("time_limit: expected more than 0 seconds")

    @property
    def time_used(self) -> float:
        """Used share of the time limit; 0 without one."""
        return self.seconds / self.time_limit

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit; infinite without one."""
        return max(self.time_limit - self.seconds, 0.0)

    @property
    def time_is_over(self) -> bool:
        return self.seconds >= self.time_limit

    def is_reached(self, state: RunState) -> bool:
        """Return True if the time is over, or the best validation is `patience` epochs old."""
        if self.patience is None or state.best is None:
            return self.time_is_over
        return self.time_is_over or state.validated_epochs - state.best.epoch >= self.patience
