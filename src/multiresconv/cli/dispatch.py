"""From the arguments to the command."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiresconv.cli.parsers import build_parsers
from multiresconv.cli.tasks import RECIPES, option_groups
from multiresconv.runs.directory import RunDirectory
from multiresconv.training.options import CHANGEABLE_ON_RESUME

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace


def dispatch(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name, and give its exit code."""
    parser, commands = build_parsers()
    name, options = chosen(parser.parse_args(arguments))
    if options.get("resume") is not None:
        _, given = chosen(parser.parse_args(arguments, defaults=False))
        options = options_of_resumed_run(name.split()[1], commands[name].parser, given)
    configs = options.pop("config", None)
    options.pop("recipe", None)
    if name.startswith("train") and options["run"] is None and (recipe := last_recipe(name.split()[1], configs or ())):
        options["run"] = Path("runs") / f"{name.split()[1]}-{recipe}"
    command = commands[name]
    values = vars(command.parser.instantiate(options))
    if name.startswith("train"):
        values["groups"] = {group: values.pop(group) for group in option_groups(name.split()[1])}
    return command.function(**values)


def chosen(options: "Namespace") -> tuple[str, "Namespace"]:
    """Name of the command and its own options."""
    name = options["command"]
    own = options[name]
    return (f"{name} {own['task']}", own[own["task"]]) if name in ("train", "data") else (name, own)


def options_of_resumed_run(task: str, parser: "ArgumentParser", given: "Namespace") -> "Namespace":
    """Read the options of the run that `given` names, and change those of `given` that leave its numbers alone.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: the run is of another task, or another option is given with a value that the run does not have.
    """
    directory = RunDirectory(given["resume"])
    config = directory.read_config(task)
    try:
        options = parser.parse_object(config)
    except (argparse.ArgumentError, TypeError, ValueError) as error:
        raise ValueError(f"{directory.config}: not the options of a run of this version: {error}") from error
    refused = []
    for name, value in given.items():
        value = value.resolve() if name == "data.folder" else value
        if name in ("resume", "max_time", "data.cache_folder", *CHANGEABLE_ON_RESUME):
            options[name] = value
        elif name != "config" and options.get(name) != value:
            refused.append(f"--{name} {value}")
    if refused:
        raise ValueError(f"{' '.join(refused)}: cannot be changed in a run that is resumed; start another run with it")
    return options


def last_recipe(task: str, configs: Sequence[Any]) -> str | None:
    """Name of the last recipe of the package among the files that options were read from."""
    names = [path.stem for path in (Path(str(config)) for config in configs) if path.parent == RECIPES / task]
    return names[-1] if names else None
