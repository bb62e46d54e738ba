"""The processes of a run: which one this is, and how many there are to be."""

import os
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only

from multiresconv.training.options import TrainerOptions


def is_first_process() -> bool:
    """Whether this one writes and speaks. Lightning starts the others by running the same command again."""
    known: Any = rank_zero_only  # Lightning keeps the rank, from the environment, as an attribute of this function
    return known.rank == 0


def processes(options: TrainerOptions) -> tuple[int | str, int]:
    """Processes on this machine and number of machines; what torchrun started is taken as it is."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local
    return options.devices, options.num_nodes
