"""The tasks and recipes by their command-line names; restores the task or the model of a run."""

import argparse
import inspect
import sys
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiresconv.hub import local_folder
from multiresconv.runs.directory import RunDirectory
from multiresconv.tasks import (
    CifarDensity,
    Classify,
    Forecast,
    Label,
    ListOps,
    PtbXl,
    Regress,
    Task,
    psmnist,
    scifar,
    smnist,
)
from multiresconv.training.options import TrainerOptions

if TYPE_CHECKING:
    import torch
    from jsonargparse import ArgumentParser

    from multiresconv.models import SequenceModel

TASKS: dict[str, Callable[..., Task]] = {
    "classify": Classify,
    "label": Label,
    "regress": Regress,
    "forecast": Forecast,
    "listops": ListOps,
    "scifar": scifar,
    "smnist": smnist,
    "psmnist": psmnist,
    "ptbxl": PtbXl,
    "cifar-density": CifarDensity,
}
RECIPES = Path(__file__).parents[1] / "recipes"


def recipe_folder(task: str) -> Path:
    """Return the folder of a task's recipes; a task of users' own has those of the class that it derives from."""
    bases = [vars(kind).get("name") for kind in getattr(TASKS[task], "__mro__", ())]
    folders = [RECIPES / name for name in (task, *bases) if isinstance(name, str)]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def recipe_path(task: str, name: str) -> Path:
    return recipe_folder(task) / f"{name}.yaml"


def recipe_names(task: str) -> list[str]:
    return sorted(path.stem for path in recipe_folder(task).glob("*.yaml"))


def default_recipe(task: str) -> str:
    """Return the recipe with the default options of a task: the paper's, or for own data those that need no tuning."""
    return "paper" if "paper" in recipe_names(task) else "auto"


def option_groups(task: str) -> dict[str, type]:
    """Return the option dataclasses of a task, by the names of its parameters."""
    parameters = inspect.signature(TASKS[task], eval_str=True).parameters
    return {name: parameter.annotation for name, parameter in parameters.items()}


def add_option_groups(parser: "ArgumentParser", task: str) -> None:
    for name, options in option_groups(task).items():
        parser.add_class_arguments(options, name)


def restore(
    directory: RunDirectory, *, folder: Path | None = None, cache_folder: Path | None = None
) -> tuple[Any, TrainerOptions]:
    """Rebuild the task of a run, and return it with the trainer's options.

    Args:
        directory: the run directory.
        folder: folder of the data; default as in the run.
        cache_folder: folder for caches; default as in the run.

    Raises:
        FileNotFoundError: this is no run directory.
        ValueError: this version does not know the task or an option of the run.
    """
    from jsonargparse import ArgumentParser

    name = directory.read_about()["task"]
    if name not in TASKS:
        raise ValueError(
            f"{directory.about}: expected a task of {', '.join(TASKS)}, got {name!r}; if it is your own, name "
            "its file: multiresconv evaluate RUN --task FILE.py:CLASS"
        )
    config = directory.read_config(name)
    parser = ArgumentParser(exit_on_error=False)
    add_option_groups(parser, name)
    parser.add_class_arguments(TrainerOptions, "trainer")
    groups = [*option_groups(name), "trainer"]
    try:
        values = parser.instantiate(parser.parse_object({group: config[group] for group in groups}))
    except (argparse.ArgumentError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{directory.config}: not the options of a run of this version: {error}") from error
    moved = {"folder": folder, "cache_folder": cache_folder}
    for option, value in moved.items():
        if value is not None:
            if option not in {field.name for field in fields(values["data"])}:
                raise ValueError(f"{option}: runs of {name} have no data.{option}")
            values["data"] = replace(values["data"], **{option: value})
    task = TASKS[name](**{group: values[group] for group in option_groups(name)})
    return task, values["trainer"]


def model_of(path: Path, device: "torch.device") -> "SequenceModel":
    """Load the model of a model folder, the best model of a run directory, or a model of a hub, in eval mode.

    Raises:
        ConnectionError, ModuleNotFoundError, PermissionError: the hub cannot be read, see `multiresconv.hub`.
        FileNotFoundError: the path is neither.
        ValueError: the model is damaged, or has format 1, which lacks descriptions, and its run is missing.
    """
    from multiresconv.models import load
    from multiresconv.models.files import model_format
    from multiresconv.runs.evaluate import best_model

    with warnings.catch_warnings(record=True, action="always") as remarks:
        path = local_folder(path)
    for remark in remarks:
        print(f"multiresconv: {remark.message}", file=sys.stderr, flush=True)
    if not (path / "config.json").is_file():
        directory = RunDirectory(path)
        if not directory.about.is_file() and directory.model.is_dir():
            return model_of(directory.model, device)
        if directory.about.is_file() and directory.model.is_dir() and model_format(directory.model) > 1:
            return load(directory.model, device)  # format 2 needs neither task nor options
        task, _ = restore(directory)
        return best_model(task, directory, device)
    if model_format(path) == 1:
        directory = RunDirectory(path.parent)
        if not directory.about.is_file():
            raise ValueError(
                f"{path}: a model of format 1 says neither its classes nor its units, and no run.json stands beside "
                "its folder; name the run directory that it came from"
            )
        return model_of(path.parent, device)
    return load(path, device)
