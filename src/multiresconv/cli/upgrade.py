"""`multiresconv upgrade RUN...`."""

from pathlib import Path

import torch

from multiresconv.cli.tasks import model_of


def upgrade(runs: list[Path]) -> int:
    """Rewrite the model folders of runs in format 2, which describes the model's input and output.

    Args:
        runs: run directories; the predictions of their models do not change.
    """
    from multiresconv.models import save

    for run in runs:
        save(model_of(run, torch.device("cpu")), run / "model")
        print(f"{run / 'model'}: rewritten")
    return 0
