"""`multiresconv upgrade RUN...`."""

from pathlib import Path

import torch

from multiresconv.cli.tasks import model_of


def upgrade(runs: list[Path]) -> int:
    """Rewrite the model folders of runs in today's format, with the description that older ones lack.

    Args:
        runs: run directories; their predictions stay.
    """
    from multiresconv.models import save

    for run in runs:
        save(model_of(run, torch.device("cpu")), run / "model")
        print(f"{run / 'model'}: rewritten")
    return 0
