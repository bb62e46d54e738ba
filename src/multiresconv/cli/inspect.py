"""`multiresconv inspect RUN`."""

from pathlib import Path

from multiresconv.cli.tasks import restore
from multiresconv.runs.directory import RunDirectory


def inspect(run: Path, out: Path | None = None) -> int:
    """Draw what the best model of a run has learned: filters, impulse and frequency responses, energy per scale.

    Args:
        run: the run directory.
        out: folder for the pictures and inspection.json, which has the numbers; default inspection in the run.
    """
    import torch

    from multiresconv.inspection.inspect import inspect_model
    from multiresconv.models import MultiresRidge
    from multiresconv.runs.evaluate import best_model

    directory = RunDirectory(run)
    task, _ = restore(directory)
    model = best_model(task, directory, torch.device("cpu"))
    if isinstance(model, MultiresRidge):
        raise ValueError(f"{run}: ridge regression on untrained features learns no filters; use multiresconv explain")
    torch.manual_seed(directory.read_seed(task.name))
    for path in inspect_model(model, task.build(), out or directory.path / "inspection"):
        print(path)
    return 0
