"""Timing of calls that take turns."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

# Runs shorter than this many seconds need a warm-up: another contender's turn has displaced their data from the caches.
_SETTLES = 0.5
_AT_LEAST = 3


@dataclass(frozen=True)
class Times:
    """Seconds per run: median, lower and upper quartile; and the number of runs."""

    median: float
    low: float
    high: float
    repeats: int


def take_turns(
    calls: Mapping[str, Callable[[], object]], *, repeats: int, budget: float, device: str = "cpu"
) -> dict[str, Times]:
    """Time `repeats` runs of each call, or fewer (at least 3) once they have taken `budget` seconds.

    Every call runs once per round, so that other load on the machine affects all equally, in an order that is drawn
    anew: what always runs after the same long call pays for what that leaves behind. The very first run, which
    compiles and allocates, does not count, nor does the first run of each turn of short calls.

    Returns:
        Times by name.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    spent = dict.fromkeys(calls, 0.0)
    last = {name: seconds(call, device) for name, call in calls.items()}
    draw = random.Random(0)
    while running := [
        name for name, runs in taken.items() if len(runs) < repeats and (len(runs) < _AT_LEAST or spent[name] < budget)
    ]:
        for name in draw.sample(running, len(running)):
            if last[name] < _SETTLES:
                spent[name] += seconds(calls[name], device)
            last[name] = seconds(calls[name], device)
            spent[name] += last[name]
            taken[name].append(last[name])
    return {name: _summary(runs) for name, runs in taken.items()}


def seconds(call: Callable[[], object], device: str = "cpu") -> float:
    """Return the seconds that a call takes, on a GPU until its kernels have finished."""
    if device == "cuda":
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start.record()
        call()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) / 1e3
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


def _summary(runs: list[float]) -> Times:
    low, median, high = np.quantile(runs, [0.25, 0.5, 0.75]).tolist()
    return Times(median, low, high, len(runs))
