"""The processes of a run: whether this is the first one, and how many to start."""

import os
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only

from multiresconv.training.options import TrainerOptions


def is_first_process() -> bool:
    """True in the process that writes files and messages. Lightning starts the others by running the same command."""
    known: Any = rank_zero_only  # Lightning stores the rank as an attribute of this function
    return known.rank == 0


def under_torchrun() -> bool:
    """True if torchrun started this process; all others then run already, and wait for the first in the training."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def processes(options: TrainerOptions) -> tuple[int | str, int]:
    """Return the number of processes on this machine and the number of machines; under torchrun, its numbers."""
    if under_torchrun():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local
    return options.devices, options.num_nodes
