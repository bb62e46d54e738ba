"""What each command does: one typed function each, of which the parsers are made."""

import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from json import dumps
from pathlib import Path
from typing import Any, Literal

from multiresconv.data.listops import SPLITS, split_path, verify_listops
from multiresconv.tasks.listops import ListOps, ListOpsData, ListOpsModel, generate
from multiresconv.training.options import OptimizerOptions, TrainerOptions
from multiresconv.training.run_directory import RunDirectory


def train_listops(
    data: ListOpsData,
    model: ListOpsModel,
    optimizer: OptimizerOptions,
    trainer: TrainerOptions,
    run: Path | None = None,
    resume: Path | None = None,
    seed: int = 0,
    max_time: str | None = None,
) -> int:
    """Train a classifier on ListOps: as in the paper, without --recipe and --config.

    Where data.folder has no data yet, they are generated first.

    Args:
        data: the data set.
        model: the network.
        optimizer: AdamW and its schedule.
        trainer: how long, on what, and how often something is written.
        run: directory to write; default runs/listops-RECIPE, or runs/listops-TIME without a recipe.
        resume: directory of a run to go on with, in the middle of an epoch too, with its own options.
        seed: of the initial weights, of the order of the rows and of the dropout.
        max_time: stop after this time, HH:MM:SS, so that --resume can go on.
    """
    from multiresconv.training.finite import NonFiniteError
    from multiresconv.training.fit import fit
    from multiresconv.training.processes import is_first_process
    from multiresconv.training.stopping import Stopped, parse_max_time

    is_first = is_first_process()
    directory = RunDirectory(resume or run or Path(f"runs/listops-{time.strftime('%Y%m%d-%H%M%S')}"))
    groups = {"data": data, "model": model, "optimizer": optimizer, "trainer": trainer}
    how_to_go_on = f"multiresconv train listops --resume {shlex.quote(str(directory.path))}"
    config = {**{name: plain(asdict(group)) for name, group in groups.items()}, "seed": seed}
    try:
        state = fit(
            ListOps(data, model),
            optimizer,
            trainer,
            directory=directory,
            config=config,
            seed=seed,
            max_time=None if max_time is None else parse_max_time(max_time),
            resume=resume is not None,
        )
    except Stopped as stopped:
        if is_first:
            print(f"stopped after step {stopped.step}; go on with: {how_to_go_on}", file=sys.stderr)
        # to Lightning's launcher, the code of a process beside the first would mean that it crashed
        return stopped.exit_code if is_first else 0
    except KeyboardInterrupt:  # a second one, which waits for nothing
        if is_first and directory.about.is_file():
            print(f"stopped; go on from the last checkpoint with: {how_to_go_on}", file=sys.stderr)
        return 130
    except NonFiniteError:
        if is_first:
            raise
        return 0
    if is_first and state.best is not None:
        print(f"best validation {ListOps.monitor} {state.best.score:.4f} in epoch {state.best.epoch}: {directory.path}")
    return 0


def data_listops(verify: bool, overwrite: bool, **options: Any) -> int:
    """Generate ListOps, as in the Long Range Arena unless told otherwise, or verify what is there.

    Args:
        verify: generate nothing, evaluate every expression and compare the label.
        overwrite: replace files that are there.
        **options: the fields of `ListOpsData`.
    """
    data = ListOpsData(**options)
    files = [split_path(data.folder, split) for split in SPLITS]
    if verify:
        rows = verify_listops(data.folder)
        print(f"{data.folder}: all labels of {rows} rows are right")
    elif all(file.is_file() for file in files) and not overwrite:
        print(f"{data.folder}: ListOps is there already; --verify checks its labels, --overwrite makes it anew")
    else:
        generate(data, overwrite=overwrite)
        print(f"{data.folder}: {', '.join(file.name for file in files)}")
    return 0


def evaluate(
    run: Path,
    split: Literal["val", "test"] | None = None,
    file: Path | None = None,
    cache_folder: Path | None = None,
    batch_size: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> int:
    """Score the best model of a run; prints a table, writes evaluation-NAME.json and confusion-NAME.png into the run.

    Args:
        run: the run directory.
        split: of the data that the run was trained on; default test.
        file: other rows with labels, in the file format of the data; NAME is then file-STEM, as of STEM.tsv.
        cache_folder: where the tokenised rows go; default as in the run.
        batch_size: default as in the run's own validation.
        device: where to compute.
    """
    from multiresconv.training.evaluate import choose_device, table
    from multiresconv.training.evaluate import evaluate as evaluate_run

    if split is not None and file is not None:
        raise ValueError(f"--split {split} --file {file}: expected one of them")
    directory = RunDirectory(run)
    task, trainer = restore(directory, cache_folder)
    split = split or "test"
    report = evaluate_run(
        task,
        directory,
        name=split if file is None else f"file-{file.stem}",
        rows=task.open(split) if file is None else task.open_file(file),
        file=file,
        batch_size=trainer.eval_batch_size if batch_size is None else batch_size,
        device=choose_device(device),
    )
    print(table(report))
    return 0


def predict(
    run: Path,
    files: list[Path],
    json: bool = False,
    batch_size: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> int:
    """Label the rows of files with the best model of a run: per row the label, its probability and the runners-up.

    Args:
        run: the run directory.
        files: inputs, one per line, or files in the format of the data; - is standard input.
        json: print one JSON object per row, with the probability of every label.
        batch_size: default as in the run's own validation.
        device: where to compute.
    """
    from multiresconv.training.evaluate import best_model, choose_device
    from multiresconv.training.evaluate import predict as predict_items

    directory = RunDirectory(run)
    task, trainer = restore(directory)
    place = choose_device(device)
    model = best_model(task, directory, place)
    for file in files:
        items = list(task.read_inputs(Path("/dev/stdin") if str(file) == "-" else file))
        size = trainer.eval_batch_size if batch_size is None else batch_size
        rows = predict_items(task, model, items, batch_size=size, device=place)
        for number, probabilities in enumerate(rows, start=1):
            (label, probability), *others = probabilities.items()
            if json:
                row = {"file": str(file), "row": number, "label": label, "probability": probability}
                print(dumps({**row, "probabilities": probabilities}))
            else:
                runners_up = " ".join(f"{name}:{value:.3f}" for name, value in others[:3])
                print(f"{label}\t{probability:.3f}\t{runners_up}")
    return 0


def restore(directory: RunDirectory, cache_folder: Path | None = None) -> tuple[ListOps, TrainerOptions]:
    """The task of a run, and how it was trained; with another folder for caches, if one is given."""
    config = directory.read_config(ListOps.name)
    try:
        data = ListOpsData(**{**config["data"], "folder": Path(config["data"]["folder"])})
        if cache_folder := cache_folder or data.cache_folder:
            data = replace(data, cache_folder=Path(cache_folder))
        return ListOps(data, ListOpsModel(**config["model"])), TrainerOptions(**config["trainer"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{directory.config}: not the options of a run of this version: {error}") from error


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as YAML has them, paths so that they hold in any working directory."""
    return {name: str(value.resolve()) if isinstance(value, Path) else value for name, value in values.items()}
