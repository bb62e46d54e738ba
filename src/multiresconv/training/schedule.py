"""The learning-rate schedule."""

import math


def learning_rate(step: int, *, peak: float, warmup_steps: float, total_steps: int, time_used: float = 0.0) -> float:
    """Return the learning rate of a step, counted from 0: linear warm-up to `peak`, then half a cosine down to 0.

    Without a time limit it depends on the step alone, so that resuming needs no scheduler state.

    Args:
        step: number of steps before this one.
        peak: the largest learning rate.
        warmup_steps: steps of the warm-up.
        total_steps: steps of the run.
        time_used: used share of a time limit, which ends the run if it reaches 1; the decay follows whichever of steps
            and time is further.
    """
    if step + 1 < warmup_steps:
        return peak * (step + 1) / warmup_steps
    decay_steps = total_steps - warmup_steps
    done = max(step - warmup_steps, 0) / decay_steps if decay_steps > 0 else 0.0
    done = min(max(done, time_used), 1.0)
    return peak * 0.5 * (1 + math.cos(math.pi * done))
