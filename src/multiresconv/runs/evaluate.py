"""Evaluate the best model of a run."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from multiresconv.data import LengthBuckets
from multiresconv.devices import on_device
from multiresconv.figures import save_figure
from multiresconv.files import write_json
from multiresconv.models import SequenceModel, load, save
from multiresconv.models.files import model_format
from multiresconv.runs.checkpoints import load_checkpoint
from multiresconv.runs.directory import RunDirectory
from multiresconv.runs.format_1 import complete
from multiresconv.tasks import Task
from multiresconv.training.checkpoint import load_weights


class Evaluation(NamedTuple):
    """What an evaluation found: the name of the rows, the report, and a function that draws the pictures by name."""

    name: str
    report: dict[str, Any]
    draw: Callable[[], Mapping[str, Any]]

    def write(self, folder: Path) -> None:
        """Write evaluation-NAME.json and the pictures *-NAME.png into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"evaluation-{self.name}.json", self.report)
        for stem, figure in self.draw().items():
            save_figure(figure, folder / f"{stem}-{self.name}.png")


def evaluate(
    task: Task,
    directory: RunDirectory,
    *,
    name: str,
    parts: Sequence[Any],
    batch_size: int,
    device: torch.device,
    source: Mapping[str, str] | None = None,
) -> Evaluation:
    """Score the run's best model on the rows of all `parts` together; nothing is written yet.

    The report states the epoch and step of the model and, if the rows are not of the run's data, their `source`, such
    as {"file": its path}. Examples are drawn from the last part.
    """
    check_batch_size(batch_size)
    model = best_model(task, directory, device)
    scores = score(task, model, parts, batch_size, device)
    best = [line for line in directory.read_metrics(task.monitor) if line.get("best")][-1:]
    report = {
        "task": task.name,
        "run": directory.path.resolve().name,
        **{f"model_{key}": line[key] for line in best for key in ("epoch", "step")},
        "data": name,
        **(source or {}),
        **task.report(scores),
    }
    title = f"{task.name}, {name}"
    return Evaluation(name, report, lambda: {**task.figures(scores, title), **task.examples(model, parts[-1], title)})


def check_validation(directory: RunDirectory) -> None:
    """Raise ValueError if the run's best model has learned the validation rows, so that they cannot score it."""
    best = [line for line in directory.read_metrics() if line.get("best")][-1:]
    if best and best[0]["epoch"] == 0:
        raise ValueError(
            f"{directory.path}: ridge regression was fitted to the validation rows too, after it had been scored on "
            f"them: {directory.metrics} has that score; evaluate the test rows"
        )


def best_model(task: Task, directory: RunDirectory, device: torch.device) -> SequenceModel:
    """Load the best model of a run, in eval mode; if its folder was deleted, restore the folder from best.ckpt.

    Raises:
        FileNotFoundError: the run has not finished its first validation yet.
        ValueError: the model or the checkpoint is damaged.
    """
    name = directory.read_about()["task"]
    if not all((directory.model / file).is_file() for file in ("config.json", "model.safetensors")):
        if not directory.best.is_file():
            raise FileNotFoundError(
                f"{directory.path} has no model yet: the run stopped before its first validation; "
                f"go on with it: multiresconv train {name} --resume {shlex.quote(str(directory.path))}"
            )
        model = task.build()
        load_weights(model, load_checkpoint(directory.best), str(directory.best))
        save(model, directory.model)
    model = load(directory.model, device)
    if model_format(directory.model) == 1:
        try:
            complete(model, task, directory.read_about())
        except (RuntimeError, ValueError) as error:  # RuntimeError: means or deviations of another number of channels
            raise ValueError(f"{directory.about}: not of the model in {directory.model}: {error}") from error
    return model


@torch.inference_mode()
def score(
    task: Task, model: nn.Module, parts: Sequence[Any], batch_size: int, device: torch.device
) -> dict[str, Tensor]:
    """Compute the task's scores of a model in eval mode for the rows of all parts; the tensors are on the CPU."""
    scores, count = task.scores().to(device), sum(map(len, parts))
    loaders = (
        DataLoader(rows, batch_sampler=LengthBuckets(rows.lengths, batch_size, shuffle=False), collate_fn=task.collate)
        for rows in parts
    )
    with tqdm(total=count, unit=" samples", desc="evaluate", disable=None) as bar:  # None: only on a terminal
        for batch in chain.from_iterable(loaders):
            batch = on_device(batch, device)
            outcome = task.run(model, batch)
            scores.update(outcome, batch)
            bar.update(len(outcome.losses))
    return {name: value.cpu() for name, value in scores.compute().items()}


def check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
