"""Progress of a run: one bar over all its samples, or a line now and then where nobody watches a terminal."""

import sys
import time

from tqdm import tqdm

from multiresconv.training.state import RunState

_SMOOTHING = 0.98  # of the shown loss and accuracy; what is logged is exact
_QUIET_SECONDS = 30.0


class Progress:
    """Loss, accuracy, samples per second and the time that is left; silent unless `enabled`."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self.bar: tqdm | None = None

    def start(self, state: RunState, steps_per_epoch: int, total_steps: int, batch_size: int) -> None:
        if not self.enabled:
            return
        self.steps_per_epoch, self.steps = steps_per_epoch, state.step
        self.loss = self.accuracy = self.weight = 0.0
        self.score = state.last_score
        self.interval = 0.1 if sys.stderr.isatty() else _QUIET_SECONDS
        self.shown_at = 0.0
        self.bar = tqdm(
            total=total_steps * batch_size,
            initial=state.step * batch_size,
            unit=" samples",
            smoothing=0.05,
            mininterval=self.interval,
            maxinterval=max(self.interval, 10.0),
            dynamic_ncols=True,
        )

    def step(self, rows: int, loss: float, accuracy: float) -> None:
        if self.bar is None:
            return
        self.steps += 1
        self.weight = _SMOOTHING * self.weight + (1 - _SMOOTHING)
        self.loss = _SMOOTHING * self.loss + (1 - _SMOOTHING) * loss
        self.accuracy = _SMOOTHING * self.accuracy + (1 - _SMOOTHING) * accuracy
        if time.monotonic() >= self.shown_at + self.interval:
            self._show(self.bar)
        self.bar.update(rows)

    def _show(self, bar: tqdm) -> None:
        self.shown_at = time.monotonic()
        bar.set_description(f"epoch {1 + (self.steps - 1) // self.steps_per_epoch}", refresh=False)
        text = f"loss {self.loss / self.weight:.4f}, accuracy {self.accuracy / self.weight:.4f}"
        bar.set_postfix_str(text if self.score is None else f"{text}, val {self.score:.4f}", refresh=False)

    def validated(self, epoch: int, scores: dict[str, float], score: float, is_best: bool) -> None:
        self.score = score
        shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items() if isinstance(value, float))
        if self.enabled:
            tqdm.write(f"epoch {epoch}: validation {shown}{' (best)' if is_best else ''}", file=sys.stderr)

    def close(self) -> None:
        if self.bar is not None:
            if self.weight:
                self._show(self.bar)
            self.bar.close()
            self.bar = None
