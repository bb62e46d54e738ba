"""Every recipe of the package can be run, and "paper" is the paper's."""

from functools import partial
from pathlib import Path

import pytest
import torch
from tiny_images import write_cifar, write_mnist
from tiny_ptbxl import make_ptbxl
from tiny_run import metrics, write_data
from tiny_table import write_recordings

from multiresconv.cli import main
from multiresconv.cli.parsers import build_parsers
from multiresconv.cli.tasks import RECIPES, TASKS, option_groups, recipe_names

pytestmark = pytest.mark.slow

ALL = [(path.parent.name, path.stem) for path in sorted(RECIPES.glob("*/*.yaml"))]
DATA = {
    "listops": write_data,
    "smnist": write_mnist,
    "psmnist": write_mnist,
    "scifar": partial(write_cifar, n=8),
    "cifar-density": write_cifar,
    "ptbxl": partial(make_ptbxl, n=20),
}
OWN = {"classify": "kind", "label": "tags", "regress": "speed,back", "forecast": None}  # task -> its targets
# What takes a CPU many seconds or minutes even for two steps; the rest of the recipe stays.
SMALLER = {
    ("cifar-density", "paper"): ["--model.n_layers", "1", "--model.d_model", "16"],
    ("scifar", "paper"): ["--model.n_layers", "1"],
}


def test_every_task_has_its_recipes() -> None:
    assert recipe_names("listops") == ["demo", "paper", "quick"]
    assert set(TASKS) == set(DATA) | set(OWN) == {task for task, _ in ALL}
    for task in DATA:
        assert {"paper", "quick"} <= set(recipe_names(task))
    for task in OWN:
        assert recipe_names(task) == ["auto"]


@pytest.mark.parametrize(("task", "name"), ALL)
def test_a_recipe_trains(task: str, name: str, tmp_path: Path) -> None:
    """With its own network and optimizer, for some steps on a few rows."""
    run = tmp_path / "run"
    small = ["--trainer.epochs", "1", "--trainer.batch_size", "12", "--trainer.log_every", "1", "--run", str(run)]
    if task in OWN:
        target = [] if OWN[task] is None else ["--data.target", OWN[task]]
        data = ["--data.table", str(write_recordings(tmp_path / "data")), *target]
        data += (
            ["--model.method", "network"]
            if target
            else ["--task.horizon", "4", "--data.val_share", "0.25", "--data.test_share", "0.25"]
        )
    else:
        data = ["--data.folder", str(DATA[task](tmp_path / "data"))]
    assert main(["train", task, "--recipe", name, *small, *data, *SMALLER.get((task, name), ())]) == 0
    kinds = [line["kind"] for line in metrics(run)]
    assert kinds[:1] + kinds[-1:] == ["train", "val"]
    assert (run / "curves.png").is_file()


@pytest.mark.parametrize("task", TASKS)
def test_one_recipe_is_used_where_none_is_named(task: str) -> None:
    parser, _ = build_parsers()
    default = parser.parse_args(["train", task])["train"][task]
    paper = parser.parse_args(["train", task, "--recipe", "auto" if task in OWN else "paper"])["train"][task]
    for group in (*option_groups(task), "optimizer", "trainer", "seed"):
        assert default[group] == paper[group]


PAPER = {
    # parameters, batch, epochs, learning rate, weight decay, warm-up epochs
    "listops": (361_994, 50, 100, 3e-3, 0.03, 1),
    "scifar": (1_365_514, 50, 250, 4.5e-3, 0.01, 0),
    "ptbxl": (222_791, 50, 100, 4.5e-3, 0.06, 5),
    "cifar-density": (38_391_908, 64, 250, 1e-3, 0.0, 0),
}


@pytest.mark.parametrize("task", PAPER)
def test_the_papers_network_has_the_papers_size(task: str, tmp_path: Path) -> None:
    _, commands = build_parsers()
    parser = commands[f"train {task}"].parser
    folder = ["--data.folder", str(DATA[task](tmp_path))]  # PTB-XL's list of labels is there
    options = parser.instantiate(parser.parse_args(["--recipe", "paper", *folder]))
    with torch.device("meta"):
        model = TASKS[task](**{group: options[group] for group in option_groups(task)}).build()
    of_optimizer, trainer = options.optimizer, options.trainer
    assert PAPER[task] == (
        sum(parameter.numel() for parameter in model.parameters()),
        trainer.batch_size,
        trainer.epochs,
        of_optimizer.lr,
        of_optimizer.weight_decay,
        of_optimizer.warmup_epochs,
    )
