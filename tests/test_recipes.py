"""Every recipe of the package can be run, and "paper" is the paper's."""

from pathlib import Path

import pytest
from tiny_run import metrics, write_data

from multiresconv.cli import main
from multiresconv.cli.parsers import RECIPES, build_parsers, recipe_names
from multiresconv.models import MultiresClassifier
from multiresconv.tasks import ListOps

ALL = [(path.parent.name, path.stem) for path in sorted(RECIPES.glob("*/*.yaml"))]


def test_the_recipes_are_found() -> None:
    assert recipe_names("listops") == ["demo", "paper", "quick"]
    assert {name for task, name in ALL if task == "listops"} == {"demo", "paper", "quick"}


@pytest.mark.parametrize(("task", "name"), ALL)
def test_a_recipe_trains(task: str, name: str, tmp_path: Path) -> None:
    """With its own network and optimizer, for two steps on short rows."""
    run = tmp_path / "run"
    small = ["--trainer.epochs", "1", "--trainer.batch_size", "12", "--trainer.log_every", "1", "--run", str(run)]
    data = ["--data.folder", str(write_data(tmp_path / "data"))]
    assert main(["train", task, "--recipe", name, *small, *data]) == 0
    assert [line["kind"] for line in metrics(run)] == ["train", "train", "val"]


def test_a_recipe_is_used_when_none_is_named_and_it_is_the_papers() -> None:
    parser, _ = build_parsers()
    default = parser.parse_args(["train", "listops"])["train"]["listops"]
    paper = parser.parse_args(["train", "listops", "--recipe", "paper"])["train"]["listops"]
    for group in ("data", "model", "optimizer", "trainer", "seed"):
        assert default[group] == paper[group]


def test_the_papers_network_has_the_papers_size() -> None:
    _, commands = build_parsers()
    parser = commands["train listops"].parser
    options = parser.instantiate(parser.parse_args(["--recipe", "paper"]))
    model = ListOps(options.data, options.model).build()
    assert isinstance(model, MultiresClassifier)
    assert sum(parameter.numel() for parameter in model.parameters()) == 361_994
    assert (options.trainer.batch_size, options.trainer.epochs) == (50, 100)
    assert (options.optimizer.lr, options.optimizer.weight_decay, options.optimizer.warmup_epochs) == (3e-3, 0.03, 1)
