"""The learning-rate schedule."""

import math


def learning_rate(step: int, *, peak: float, warmup_steps: float, total_steps: int) -> float:
    """Return the learning rate of a step, counted from 0: linear warm-up to `peak`, then half a cosine down to 0.

    It depends on the step alone, so that resuming needs no scheduler state.
    """
    if step + 1 < warmup_steps:
        return peak * (step + 1) / warmup_steps
    decay_steps = total_steps - warmup_steps
    done = min(max(step - warmup_steps, 0) / decay_steps, 1.0) if decay_steps > 0 else 0.0
    return peak * 0.5 * (1 + math.cos(math.pi * done))
