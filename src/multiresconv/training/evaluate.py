"""Scores and predictions of a trained run."""

import shlex
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from multiresconv.models import MultiresClassifier, load, save
from multiresconv.tasks import Task
from multiresconv.training.checkpoints import load_checkpoint, load_weights
from multiresconv.training.pictures import draw_confusion
from multiresconv.training.run_directory import RunDirectory, write_json


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
    """Score the run's best model on `rows`, write evaluation-<name>.json and confusion-<name>.png, give the report.

    The report says which `file`, if not a split, the rows are from, and which epoch and step the model is from.
    """
    check_batch_size(batch_size)
    scores = score(task, best_model(task, directory, device), rows, batch_size, device)
    best = [line for line in directory.read_metrics() if line.get("best")][-1:]
    report = {
        "task": task.name,
        "run": directory.path.resolve().name,
        **{f"model_{key}": line[key] for line in best for key in ("epoch", "step")},
        "data": name,
        **({} if file is None else {"file": str(file)}),
        **classification_report(task, scores),
    }
    write_json(directory.path / f"evaluation-{name}.json", report)
    draw_confusion(directory.path / f"confusion-{name}.png", scores["confusion"], task.classes, f"{task.name}, {name}")
    return report


def best_model(task: Task, directory: RunDirectory, device: torch.device) -> MultiresClassifier:
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
    loader = DataLoader(rows, batch_sampler=task.batches(rows, batch_size), collate_fn=task.collate)
    with tqdm(total=len(rows), unit=" samples", desc="evaluate", disable=None) as bar:  # None: on a terminal only
        for batch in loader:
            batch = on_device(batch, device)
            outcome = task.run(model, batch)
            scores.update(outcome, batch)
            bar.update(len(outcome.losses))
    return {name: value.cpu() for name, value in scores.compute().items()}


def classification_report(task: Task, scores: dict[str, Tensor]) -> dict[str, Any]:
    """Accuracy with its 95 % interval (Wilson), and the rate that always naming the commonest class would have."""
    confusion = scores["confusion"]
    n, hits = int(confusion.sum()), int(confusion.diagonal().sum())
    interval = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    of_class = confusion.sum(1)
    return {
        "n": n,
        "accuracy": hits / n,
        "accuracy_95": [float(interval.low), float(interval.high)],
        "loss": float(scores["loss"]),
        "majority_class": task.classes[int(of_class.argmax())],
        "majority_rate": int(of_class.max()) / n,
        "confusion": confusion.tolist(),
    }


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    low, high = report["accuracy_95"]
    lines = {
        "data": report["data"],
        "n": str(report["n"]),
        "accuracy": f"{report['accuracy']:.2%}",
        "95 % interval": f"{low:.2%} to {high:.2%}",
        "majority class": f"{report['majority_rate']:.2%} (always {report['majority_class']})",
        "loss": f"{report['loss']:.4f}",
    }
    width = max(map(len, lines))
    return "\n".join(f"{key:<{width}}  {value}" for key, value in lines.items())


@torch.inference_mode()
def predict(
    task: Task, model: nn.Module, items: Iterable[Any], *, batch_size: int, device: torch.device
) -> Iterator[dict[str, float]]:
    """For each item the probability of every class, the most probable first; `model` is in eval mode on `device`.

    Raises:
        ValueError: batch_size below 1.
    """
    check_batch_size(batch_size)
    left = iter(items)
    while chunk := list(islice(left, batch_size)):
        batch = on_device(task.collate(chunk), device)
        for row in task.run(model, batch).outputs.softmax(1).cpu():
            yield {task.classes[int(i)]: float(row[i]) for i in row.argsort(descending=True)}


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
