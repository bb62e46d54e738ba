"""`dispatch`: parses the arguments and runs the command."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiresconv.cli.own_task import with_own_task
from multiresconv.cli.parsers import Command, build_parsers
from multiresconv.cli.suggestions import with_suggestions
from multiresconv.cli.tasks import option_groups, recipe_folder
from multiresconv.runs.directory import RunDirectory
from multiresconv.training.options import CHANGEABLE_ON_RESUME

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace


def dispatch(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name and return its exit code."""
    arguments = with_own_task(arguments)
    parser, commands = build_parsers()
    try:
        name, options = chosen(parser.parse_args(arguments))
    except argparse.ArgumentError as error:
        raise with_suggestions(error, options_of(arguments, commands)) from error
    if options.get("resume") is not None:
        _, given = chosen(parser.parse_args(arguments, defaults=False))
        options = options_of_resumed_run(name.split()[1], commands[name].parser, given)
    configs = options.pop("config", None)
    options.pop("recipe", None)
    if name.startswith("train") and options["run"] is None and (recipe := last_recipe(name.split()[1], configs or ())):
        options["run"] = Path("runs") / f"{name.split()[1]}-{recipe}"
    command = commands[name]
    for option, value in options.items():
        options[option] = at_home(value)
    values = vars(instantiated(command.parser, options))
    if name.startswith("train"):
        values["groups"] = {group: values.pop(group) for group in option_groups(name.split()[1])}
    return command.function(**values)


def options_of(arguments: Sequence[str], commands: Mapping[str, Command]) -> list[str]:
    """Return the options of the command that the arguments begin with, such as --optimizer.lr."""
    command = commands.get(" ".join(arguments[:2])) or commands.get(arguments[0])
    actions = [] if command is None else command.parser._actions  # argparse has no public list of them
    options = [option for action in actions for option in action.option_strings if option.startswith("--")]
    return [option for option in options if not any(other.startswith(f"{option}.") for other in options)]


def instantiated(parser: "ArgumentParser", options: "Namespace") -> "Namespace":
    """Build the objects that the options describe; for a resumed run, errors name its config.yaml."""
    try:
        return parser.instantiate(options)
    except (TypeError, ValueError) as error:
        if options.get("resume") is None:
            raise
        config = RunDirectory(options["resume"]).config
        raise ValueError(f"{config}: not the options of a run of this version: {error}") from error


def at_home(value: Any) -> Any:
    """Return a path, or paths, with `~` replaced by the home of the user, where the shell has not done so."""
    if isinstance(value, list):
        return [at_home(part) for part in value]
    return Path(os.path.expanduser(value)) if isinstance(value, Path) else value


def chosen(options: "Namespace") -> tuple[str, "Namespace"]:
    """Return the name of the command, such as "train listops", and its options."""
    name = options["command"]
    own = options[name]
    return (f"{name} {own['task']}", own[own["task"]]) if name in ("train", "data") else (name, own)


def options_of_resumed_run(task: str, parser: "ArgumentParser", given: "Namespace") -> "Namespace":
    """Read the options of the run to resume and override those that do not affect its numbers by `given`.

    A larger number of epochs is taken too: the run goes on with the learning rates of a run that long.

    Raises:
        FileNotFoundError: the run does not exist.
        ValueError: the run belongs to another task, or `given` has another value for an option that affects numbers.
    """
    directory = RunDirectory(at_home(given["resume"]))
    config = directory.read_config(task)
    try:
        options = parser.parse_object(config)
    except (argparse.ArgumentError, TypeError, ValueError) as error:
        raise ValueError(f"{directory.config}: not the options of a run of this version: {error}") from error
    refused = []
    for name, value in given.items():
        value = value.resolve() if name == "data.folder" else value
        more_epochs = name == "trainer.epochs" and value is not None and value > (options.get(name) or value)
        if more_epochs or name in ("resume", "max_time", "data.cache_folder", *CHANGEABLE_ON_RESUME):
            options[name] = value
        elif name != "config" and options.get(name) != value:
            refused.append(f"--{name} {value}")
    if refused:
        raise ValueError(f"{' '.join(refused)}: cannot be changed when a run is resumed; start a new run instead")
    return options


def last_recipe(task: str, configs: Sequence[Any]) -> str | None:
    """Return the name of the last config file that is a recipe of the package, or None."""
    names = [path.stem for path in (Path(str(config)) for config in configs) if path.parent == recipe_folder(task)]
    return names[-1] if names else None
