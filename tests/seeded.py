"""Seeds of tests and of the processes that tests start: no test draws a number that another run would not draw.

SEED, from the environment variable TEST_SEED, turns all of them at once; `make test-random` draws a new one.
"""

import hashlib
import os
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.multiprocessing import spawn as torch_spawn

SEED = int(os.environ.get("TEST_SEED", "0"))

# The first lines of every Python process that a test starts. They import torch first, so that a program that looks at
# what an import adds sees this package's share alone.
PRELUDE = """\
import random, numpy, torch
random.seed({seed}); numpy.random.seed({seed}); torch.manual_seed({seed})
"""
MODULE = """\
import runpy, sys
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def seed_of(*names: object) -> int:
    """A seed of 32 bits from names; unlike `hash`, the same in every process."""
    return int.from_bytes(hashlib.sha256("\n".join(map(str, (SEED, *names))).encode()).digest()[:4], "big")


def seed_all(seed: int) -> None:
    """Seed the global generators of `random`, NumPy and PyTorch."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the global generator is what has to be seeded
    torch.manual_seed(seed)


def python(program: str, *arguments: object) -> list[str]:
    """The command that runs a program, given as text, with seeded generators."""
    prelude = PRELUDE.format(seed=seed_of("process"))
    return [sys.executable, "-c", prelude + program, *map(str, arguments)]


def python_module(name: str, *arguments: object) -> list[str]:
    """`python -m name arguments`, with seeded generators."""
    return python(MODULE, name, *arguments)


def script(path: object, *arguments: object) -> list[str]:
    """The command that runs a script that draws no number and may not import PyTorch, which seeding would."""
    return [sys.executable, str(path), *map(str, arguments)]


def spawn(function: Callable[..., None], *arguments: Any, processes: int) -> None:
    """Call `function(rank, *arguments)` in new processes with seeded generators and wait for them."""
    torch_spawn(_seeded, (function, *arguments), nprocs=processes)


def _seeded(rank: int, function: Callable[..., None], *arguments: Any) -> None:
    seed_all(seed_of("process", rank))
    function(rank, *arguments)
