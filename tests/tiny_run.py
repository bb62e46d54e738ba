"""A training run of a second or so, for the tests of training and of the command line."""

import json
import random
from pathlib import Path
from typing import Any

from multiresconv.cli import main

N_TRAIN, N_VAL, N_TEST, BATCH = 24, 10, 12, 6
STEPS_PER_EPOCH = N_TRAIN // BATCH


def write_rows(path: Path, n: int, seed: int) -> None:
    """n different expressions of one operator, in the published file format; the label is their maximum."""
    draw = random.Random(seed)
    rows = [[draw.randrange(10) for _ in range(draw.randint(2, 12))] for _ in range(n)]
    lines = [f"[MAX {' '.join(map(str, digits))} ]\t{max(digits)}" for digits in rows]
    path.write_text("Source\tTarget\n" + "\n".join(lines) + "\n", encoding="utf-8")


def write_data(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, n) in enumerate({"train": N_TRAIN, "val": N_VAL, "test": N_TEST}.items()):
        write_rows(folder / f"basic_{split}.tsv", n, seed)
    return folder


def train_arguments(data: Path, run: Path, **options: Any) -> list[str]:
    """Command line of the tiny run; `options` such as `trainer__epochs=2` go over it."""
    defaults = {
        "data__folder": data,
        "run": run,
        "model__n_layers": 2,
        "model__d_model": 8,
        "model__depth": 3,
        "optimizer__lr": 0.01,
        "trainer__epochs": 3,
        "trainer__batch_size": BATCH,
        "trainer__eval_batch_size": BATCH,
        "trainer__log_every": 3,
        "trainer__accelerator": "cpu",
    }
    arguments = ["train", "listops"]
    for name, value in {**defaults, **options}.items():
        arguments += [f"--{name.replace('__', '.')}", str(value)]
    return arguments


def train(data: Path, run: Path, **options: Any) -> int:
    return main(train_arguments(data, run, **options))


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "samples_per_second")} for line in lines]
