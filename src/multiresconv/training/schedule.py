"""Learning rate of a step."""

import math


def learning_rate(step: int, *, peak: float, warmup_steps: float, total_steps: int) -> float:
    """Rate of step 0, 1, ...: linear up to `peak` over `warmup_steps`, then half a cosine down to 0 at `total_steps`.

    A pure function of the step, so that a resumed run needs no scheduler's state.
    """
    if step + 1 < warmup_steps:
        return peak * (step + 1) / warmup_steps
    decay_steps = total_steps - warmup_steps
    done = min(max(step - warmup_steps, 0) / decay_steps, 1.0) if decay_steps > 0 else 0.0
    return peak * 0.5 * (1 + math.cos(math.pi * done))
