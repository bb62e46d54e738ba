"""How Hypothesis searches: the same examples in every run, unless `make test-random` asks for others.

Tests say `examples(n)`, not `settings(max_examples=n)`, so that a profile can ask for a multiple of it.
"""

from typing import Any

import torch
from hypothesis import register_random, settings
from seeded import SEED

ORDINARY = 100  # examples of a test that names no number
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=ORDINARY)
settings.register_profile("random", deadline=None, max_examples=5 * ORDINARY, print_blob=True)
settings.load_profile("ci")


class TorchRandom:
    """PyTorch's generator for Hypothesis, which resets it before each example and restores it afterwards."""

    def seed(self, seed: int) -> None:
        torch.manual_seed(SEED + seed)

    def getstate(self) -> torch.Tensor:
        return torch.get_rng_state()

    def setstate(self, state: torch.Tensor) -> None:
        torch.set_rng_state(state)


TORCH_RANDOM = TorchRandom()  # Hypothesis holds it weakly
register_random(TORCH_RANDOM)


def examples(count: int, **options: Any) -> settings:
    """Settings for this many examples in the profile "ci", and for more in the profile "random"."""
    return settings(max_examples=count * settings.default.max_examples // ORDINARY, **options)
