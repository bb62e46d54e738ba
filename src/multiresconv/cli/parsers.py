"""The parsers of the commands, derived from the signatures of their functions."""

import argparse
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from inspect import cleandoc, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from multiresconv.cli.bench import bench
from multiresconv.cli.data import DOWNLOADED, data_downloaded, data_listops, data_listops_parts
from multiresconv.cli.doctor import doctor
from multiresconv.cli.evaluate import evaluate
from multiresconv.cli.explain import explain
from multiresconv.cli.export import export
from multiresconv.cli.inspect import inspect
from multiresconv.cli.predict import predict
from multiresconv.cli.push import push
from multiresconv.cli.report import report
from multiresconv.cli.sample import sample
from multiresconv.cli.tasks import TASKS, add_option_groups, default_recipe, recipe_names, recipe_path
from multiresconv.cli.train import train
from multiresconv.cli.upgrade import upgrade
from multiresconv.tasks.listops import ListOpsData

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


class Command(NamedTuple):
    function: Callable[..., int]
    parser: "ArgumentParser"


class Recipe(argparse.Action):
    """Action of `--recipe NAME`: `--config` with the package's file of that name; `const` is the task."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        from jsonargparse import ActionConfigFile  # pyright: ignore[reportPrivateImportUsage]

        ActionConfigFile.apply_config(parser, namespace, "config", str(recipe_path(self.const, values)))


class RecipeData(argparse.Action):
    """Action of `--recipe NAME` in the command `data`: takes the data options of a recipe."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        import yaml

        for name, value in yaml.safe_load(recipe_path(self.const, values).read_text(encoding="utf-8"))["data"].items():
            namespace[name] = Path(value) if name == "folder" else value


def build_parsers() -> tuple["ArgumentParser", dict[str, Command]]:
    """Build the top parser, and the commands with their own parsers by name, such as "train listops"."""
    commands = {
        **{f"train {task}": _train(task) for task in TASKS},
        "data listops": _data_listops(),
        "data listops-parts": _of_function(data_listops_parts),
        **{f"data {name}": _data_downloaded(name) for name in DOWNLOADED},
        "evaluate": _of_run(evaluate),
        "predict": _predict(),
        "sample": _of_model(sample),
        "inspect": _of_run(inspect),
        "report": _of_run(report),
        "explain": _explain(),
        "export": _export(),
        "push": _push(),
        "upgrade": _upgrade(),
        "bench": _bench(),
        "doctor": _of_function(doctor),
    }
    top = _parser("Long-sequence models with multiresolution convolutional memory", version=version("multiresconv"))
    top.prog = "multiresconv"
    top_commands = top.add_subcommands(dest="command", metavar="COMMAND")
    for verb, help_text in {"train": "train a model on a task", "data": "get, generate or verify a data set"}.items():
        names = _parser(help_text)
        top_commands.add_subcommand(verb, names, help=help_text)
        of_names = names.add_subcommands(dest="task", metavar="TASK" if verb == "train" else "NAME")
        for name, command in commands.items():
            if name.startswith(f"{verb} "):
                of_names.add_subcommand(name.split()[1], command.parser, help=command.parser.description)
    for name, command in commands.items():
        if " " not in name:
            top_commands.add_subcommand(name, command.parser, help=command.parser.description)
    return top, commands


def _parser(text: str | None, **options: Any) -> "ArgumentParser":
    from jsonargparse import ArgumentParser

    description = cleandoc(text or "").partition("\n")[0]
    return ArgumentParser(description=description, exit_on_error=False, allow_abbrev=False, **options)


def _train(task: str) -> Command:
    from multiresconv.cli.config_file import ConfigFile  # here, because it needs the extra

    names = recipe_names(task)
    defaults = [str(recipe_path(task, default_recipe(task)))] if names else []  # a task of users' own may have none
    parser = _parser(TASKS[task].__doc__, default_config_files=defaults)
    parser.add_argument("--config", action=ConfigFile, help="YAML file of options; later options override it")
    if names:
        _add_recipe(parser, task, Recipe)
    add_option_groups(parser, task)
    parser.add_function_arguments(train, as_group=False, skip={"task", "groups"})
    return Command(partial(train, task), parser)


def _data_listops() -> Command:
    parser = _parser(data_listops.__doc__)
    _add_recipe(parser, "listops", RecipeData)
    parser.add_class_arguments(ListOpsData, as_group=False, skip={"cache_folder"})
    verify = "generate nothing; evaluate every expression and compare its label"
    parser.add_argument("--verify", action="store_true", help=verify)
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    return Command(data_listops, parser)


def _data_downloaded(name: str) -> Command:
    parser = _parser(f"Download {DOWNLOADED[name].about}, if missing, and verify")
    folder = Path("data") / name
    parser.add_argument("--folder", type=Path, default=folder, help="folder of the files")
    command = _of_function(data_downloaded, parser, {"name", "folder"})
    return Command(partial(data_downloaded, name), command.parser)


def _predict() -> Command:
    command = _of_model(predict, skip={"files"})
    command.parser.add_argument("files", type=Path, nargs="*", metavar="file", help=_help_of(predict, "files"))
    return command


def _explain() -> Command:
    parser = _parser(explain.__doc__)
    for name in ("model", "file"):
        parser.add_argument(name, type=Path, help=_help_of(explain, name))
    return _of_function(explain, parser, {"model", "file"})


def _export() -> Command:
    parser = _parser(export.__doc__)
    for name in ("model", "folder"):
        parser.add_argument(name, type=Path, help=_help_of(export, name))
    return _of_function(export, parser, {"model", "folder"})


def _push() -> Command:
    parser = _parser(push.__doc__)
    parser.add_argument("model", type=Path, help=_help_of(push, "model"))
    parser.add_argument("repository", help=_help_of(push, "repository"))
    return _of_function(push, parser, {"model", "repository"})


def _upgrade() -> Command:
    parser = _parser(upgrade.__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="run", help=_help_of(upgrade, "runs"))
    return Command(upgrade, parser)


def _bench() -> Command:
    command = _of_function(bench, skip={"lengths", "contenders"})
    add = command.parser.add_argument
    default = [2**n for n in range(10, 17)]
    add("--lengths", type=int, nargs="+", default=default, metavar="L", help=_help_of(bench, "lengths"))
    add("--contenders", type=str, nargs="+", metavar="NAME", help=_help_of(bench, "contenders"))
    return command


def _of_model(function: Callable[..., int], skip: set[str] | None = None) -> Command:
    parser = _parser(function.__doc__)
    parser.add_argument("model", type=Path, help=_help_of(function, "model"))
    return _of_function(function, parser, {"model", *(skip or ())})


def _of_run(function: Callable[..., int]) -> Command:
    parser = _parser(function.__doc__)
    parser.add_argument("run", type=Path, help="the run directory")
    return _of_function(function, parser, {"run"})


def _of_function(
    function: Callable[..., int], parser: "ArgumentParser | None" = None, skip: set[str] | None = None
) -> Command:
    """Make a command from a function: parameters become options, those that default to False become flags."""
    parser = parser or _parser(function.__doc__)
    flags = {name for name, parameter in signature(function).parameters.items() if parameter.default is False}
    parser.add_function_arguments(function, as_group=False, skip={*(skip or ()), *flags})
    for name in sorted(flags):
        parser.add_argument(f"--{name}", action="store_true", help=_help_of(function, name))
    return Command(function, parser)


def _help_of(function: Callable[..., int], parameter: str) -> str:
    """Return the description of a parameter in the docstring."""
    import docstring_parser

    of_parameters = docstring_parser.parse(function.__doc__ or "").params
    return next((str(found.description) for found in of_parameters if found.arg_name == parameter), "")


def _add_recipe(parser: "ArgumentParser", task: str, action: type[argparse.Action]) -> None:
    about = f"options that come with the package: {', '.join(recipe_names(task))}; later options override them"
    parser.add_argument("--recipe", action=action, const=task, choices=recipe_names(task), metavar="NAME", help=about)
