"""The parsers of the commands, made from their functions, and the recipes that come with the package."""

import argparse
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from multiresconv.cli.commands import data_listops, evaluate, predict, train_listops
from multiresconv.tasks.listops import ListOpsData

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

RECIPES = Path(__file__).parents[1] / "recipes"


class Command(NamedTuple):
    function: Callable[..., int]
    parser: "ArgumentParser"


class Recipe(argparse.Action):
    """`--recipe NAME` stands for `--config` with the file of that name in the package; `const` is the task."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        from jsonargparse import ActionConfigFile  # pyright: ignore[reportPrivateImportUsage]

        ActionConfigFile.apply_config(parser, namespace, "config", str(recipe_path(self.const, values)))


class RecipeData(argparse.Action):
    """`--recipe NAME` of the command `data`: how a recipe has its data generated."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        import yaml

        for name, value in yaml.safe_load(recipe_path(self.const, values).read_text(encoding="utf-8"))["data"].items():
            namespace[name] = Path(value) if name == "folder" else value


def recipe_path(task: str, name: str) -> Path:
    return RECIPES / task / f"{name}.yaml"


def recipe_names(task: str) -> list[str]:
    return sorted(path.stem for path in (RECIPES / task).glob("*.yaml"))


def build_parsers() -> tuple["ArgumentParser", dict[str, Command]]:
    """The parser of everything, and each command with a parser of its own by name, such as "train listops"."""
    from jsonargparse import ArgumentParser

    def parser(text: str | None) -> "ArgumentParser":
        return ArgumentParser(description=(text or "").partition("\n")[0], exit_on_error=False, allow_abbrev=False)

    def add_recipe(to: "ArgumentParser", task: str, action: type[argparse.Action]) -> None:
        about = f"options that come with the package: {', '.join(recipe_names(task))}; options after it win"
        to.add_argument("--recipe", action=action, const=task, choices=recipe_names(task), metavar="NAME", help=about)

    functions = {"train listops": train_listops, "data listops": data_listops, "evaluate": evaluate, "predict": predict}
    commands = {name: Command(function, parser(function.__doc__)) for name, function in functions.items()}

    train = commands["train listops"].parser
    train.add_argument("--config", action="config", help="YAML file of options; options after it win")
    add_recipe(train, "listops", Recipe)
    train.add_function_arguments(train_listops, as_group=False)

    data = commands["data listops"].parser
    add_recipe(data, "listops", RecipeData)
    data.add_class_arguments(ListOpsData, as_group=False, skip={"cache_folder"})
    data.add_argument("--verify", action="store_true", help="evaluate every expression and compare the label")
    data.add_argument("--overwrite", action="store_true", help="replace the files that are there")

    commands["evaluate"].parser.add_argument("run", type=Path, help="the run directory")
    commands["evaluate"].parser.add_function_arguments(evaluate, as_group=False, skip={"run"})

    prediction = commands["predict"].parser
    prediction.add_argument("run", type=Path, help="the run directory")
    prediction.add_argument("files", type=Path, nargs="+", metavar="file", help="inputs; - is standard input")
    prediction.add_argument("--json", action="store_true", help="one JSON object per row, with every probability")
    prediction.add_function_arguments(predict, as_group=False, skip={"run", "files", "json"})

    top = ArgumentParser(
        prog="multiresconv",
        description="Long-sequence models with multiresolution convolutional memory",
        exit_on_error=False,
        allow_abbrev=False,
        version=version("multiresconv"),
    )
    top_commands = top.add_subcommands(dest="command", metavar="COMMAND")
    for verb, help_text in {"train": "train a model on a task", "data": "generate or verify a data set"}.items():
        tasks = ArgumentParser(description=help_text, exit_on_error=False, allow_abbrev=False)
        top_commands.add_subcommand(verb, tasks, help=help_text)
        of_tasks = tasks.add_subcommands(dest="task", metavar="TASK")
        for name, command in commands.items():
            if name.startswith(verb):
                of_tasks.add_subcommand(name.split()[1], command.parser, help=command.parser.description)
    for name in ("evaluate", "predict"):
        top_commands.add_subcommand(name, commands[name].parser, help=commands[name].parser.description)
    return top, commands
