"""Show the progress of a run: one bar over all samples or, if standard error is not a terminal, a line at times."""

import math
import sys
import time

from tqdm import tqdm

from multiresconv.training.early_end import EarlyEnd
from multiresconv.training.state import RunState

_SMOOTHING = 0.98  # of the displayed loss and accuracy; logged values are exact
_LINE_SECONDS = 30.0  # least time between two lines


class Progress:
    """Shows loss, accuracy (if the task has one), samples per second and remaining time, if `enabled`."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self.bar: tqdm | None = None

    def start(self, state: RunState, steps_per_epoch: int, done: int, total: int, early_end: EarlyEnd) -> None:
        """Start the display at `done` of `total` samples; `early_end` says how much time is left."""
        if not self.enabled:
            return
        self.steps_per_epoch, self.steps = steps_per_epoch, state.step
        self.loss = self.weight = 0.0
        self.accuracy: float | None = None
        self.score = state.last_score
        self.done, self.total, self.early_end = done, total, early_end
        self.begun_at, self.begun_with = time.monotonic(), self.done
        self.on_terminal = sys.stderr.isatty()
        self.shown_at = 0.0 if self.on_terminal else time.monotonic()
        self.bar = tqdm(
            total=self.total,
            initial=self.done,
            unit=" samples",
            smoothing=0.05,
            dynamic_ncols=True,
            disable=not self.on_terminal,
        )

    def step(self, rows: int, loss: float, accuracy: float | None) -> None:
        if self.bar is None:
            return
        self.steps += 1
        self.done += rows
        self.weight = _SMOOTHING * self.weight + (1 - _SMOOTHING)
        self.loss = _SMOOTHING * self.loss + (1 - _SMOOTHING) * loss
        if accuracy is not None:
            self.accuracy = _SMOOTHING * (self.accuracy or 0.0) + (1 - _SMOOTHING) * accuracy
        if time.monotonic() >= self.shown_at + (0.1 if self.on_terminal else _LINE_SECONDS):
            self._show(self.bar)
        self.bar.update(rows)

    def _show(self, bar: tqdm, remark: str = "") -> None:
        """Refresh the text of the bar, or write a line."""
        self.shown_at = time.monotonic()
        epoch = f"epoch {1 + (self.steps - 1) // self.steps_per_epoch}"
        text = f"loss {self.loss / self.weight:.4f}"
        if self.accuracy is not None:
            text += f", accuracy {self.accuracy / self.weight:.4f}"
        if self.score is not None:
            text += f", val {self.score:.4f}"
        seconds_left = self.early_end.seconds_left
        if self.on_terminal:
            if seconds_left < math.inf:
                text += f", {tqdm.format_interval(seconds_left)} to the time limit"
            bar.set_description(epoch, refresh=False)
            bar.set_postfix_str(text, refresh=False)
            return
        speed = (self.done - self.begun_with) / max(self.shown_at - self.begun_at, 1e-9)
        left = tqdm.format_interval(min((self.total - self.done) / speed, seconds_left))
        share = f"{max(self.done / self.total, self.early_end.time_used):.0%}"
        print(f"{epoch}, {share}, {text}, {speed:.0f} samples/s, {left} left{remark}", file=sys.stderr, flush=True)

    def validated(self, epoch: int, scores: dict[str, float], score: float, is_best: bool) -> None:
        self.score = score
        if not self.enabled:
            return
        remark = " (best)" if is_best else ""
        if self.bar is not None and self.weight:  # no bar yet if a resumed run starts with a validation
            self._show(self.bar, remark)
            if not self.on_terminal:
                return
        shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items() if isinstance(value, float))
        tqdm.write(f"epoch {epoch}: validation {shown}{remark}", file=sys.stderr)

    def close(self) -> None:
        if self.bar is not None:
            if self.on_terminal and self.weight:
                self._show(self.bar)
            self.bar.close()
            self.bar = None
