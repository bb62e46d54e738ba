"""Scores and predictions of a trained run."""

import shlex
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from multiresconv.data import LengthBuckets
from multiresconv.models import load, save
from multiresconv.runs.checkpoints import load_checkpoint, load_weights
from multiresconv.runs.directory import RunDirectory, write_json
from multiresconv.runs.pictures import save_figure
from multiresconv.tasks import Labelling, Task


def evaluate(
    task: Task,
    directory: RunDirectory,
    *,
    name: str,
    rows: Any,
    batch_size: int,
    device: torch.device,
    file: Path | None = None,
) -> dict[str, Any]:
    """Score the run's best model on `rows`, write evaluation-<name>.json and pictures *-<name>.png, give the report.

    The report says which `file`, if not a split, the rows are from, and which epoch and step the model is from.
    """
    check_batch_size(batch_size)
    model = best_model(task, directory, device)
    scores = score(task, model, rows, batch_size, device)
    best = [line for line in directory.read_metrics() if line.get("best")][-1:]
    report = {
        "task": task.name,
        "run": directory.path.resolve().name,
        **{f"model_{key}": line[key] for line in best for key in ("epoch", "step")},
        "data": name,
        **({} if file is None else {"file": str(file)}),
        **task.report(scores),
    }
    write_json(directory.path / f"evaluation-{name}.json", report)
    title = f"{task.name}, {name}"
    for stem, figure in {**task.figures(scores, title), **task.examples(model, rows, title)}.items():
        save_figure(figure, directory.path / f"{stem}-{name}.png")
    return report


def best_model(task: Task, directory: RunDirectory, device: torch.device) -> nn.Module:
    """The model of the best validation, in eval mode; its folder, if deleted, is made again of best.ckpt.

    Raises:
        FileNotFoundError: the run has not come to its first validation yet.
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
        load_weights(model, load_checkpoint(directory.best), directory.best)
        save(model, directory.model)
    return load(directory.model, device)


@torch.inference_mode()
def score(task: Task, model: nn.Module, rows: Any, batch_size: int, device: torch.device) -> dict[str, Tensor]:
    """The task's scores of a model in eval mode, on the CPU."""
    scores = task.scores().to(device)
    batches = LengthBuckets(rows.lengths, batch_size, shuffle=False)
    loader = DataLoader(rows, batch_sampler=batches, collate_fn=task.collate)
    with tqdm(total=len(rows), unit=" samples", desc="evaluate", disable=None) as bar:  # None: on a terminal only
        for batch in loader:
            batch = on_device(batch, device)
            outcome = task.run(model, batch)
            scores.update(outcome, batch)
            bar.update(len(outcome.losses))
    return {name: value.cpu() for name, value in scores.compute().items()}


@torch.inference_mode()
def predict(
    task: Labelling, model: nn.Module, items: Iterable[Any], *, batch_size: int, device: torch.device
) -> Iterator[dict[str, float]]:
    """For each item the probability of every label, the most probable first; `model` is in eval mode on `device`.

    Raises:
        ValueError: batch_size below 1.
    """
    check_batch_size(batch_size)
    left = iter(items)
    while chunk := list(islice(left, batch_size)):
        batch = on_device(task.collate(chunk), device)
        for row in task.probabilities(task.run(model, batch).outputs).cpu():
            yield ranked(task, row)


@torch.inference_mode()
def predict_stream(task: Labelling, model: Any, lines: Iterable[str]) -> Iterator[dict[str, float]]:
    """After each time step that the lines hold, as `Labelling.read_steps` has them, the probability of every label.

    `model` is in eval mode on the CPU.
    """
    stream = model.stream()
    for x in task.read_steps(lines):
        yield ranked(task, task.probabilities(stream(x))[0])


def ranked(task: Labelling, probabilities: Tensor) -> dict[str, float]:
    """Names and probabilities (C,), the most probable first."""
    return {task.classes[int(i)]: float(probabilities[i]) for i in probabilities.argsort(descending=True)}


def check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")


def on_device(batch: Any, device: torch.device) -> Any:
    return type(batch)(*(tensor.to(device) for tensor in batch))


def choose_device(name: str) -> torch.device:
    """Raises ValueError where the device that is named is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda was named, but torch finds no GPU")
    return torch.device(name)
