"""`multiresconv train TASK`."""

import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from multiresconv.cli.own_task import REFERENCES
from multiresconv.cli.tasks import TASKS
from multiresconv.hub import is_on_hub
from multiresconv.runs.directory import RunDirectory
from multiresconv.training.options import OptimizerOptions, TrainerOptions


def train(
    task: str,
    groups: Mapping[str, Any],
    optimizer: OptimizerOptions,
    trainer: TrainerOptions,
    run: Path | None = None,
    resume: Path | None = None,
    seed: int = 0,
    max_time: str | None = None,
    time_limit: str | None = None,
) -> int:
    """Train a network on a task.

    Args:
        task: name of the task.
        groups: options of the task, by the names of its parameters.
        optimizer: AdamW and its schedule.
        trainer: epochs, batches, precision, devices, and how often to log and save.
        run: directory to write; default runs/TASK-RECIPE, or runs/TASK-TIME without a recipe.
        resume: directory of a run to continue with its own options, also from the middle of an epoch. A larger
            --trainer.epochs makes it longer, also if it was finished: the rest has the learning rates of a run of
            that many epochs, so the rate rises again.
        seed: seed of the initial weights, the order of the rows and the dropout.
        max_time: stop after this time, HH:MM:SS; --resume continues from there.
        time_limit: end the training within this time, HH:MM:SS: the learning rate decays in time, the last steps are
            validated, and the run is finished. It counts the seconds of training, over all resumptions. The amount of
            training depends on the machine, so the numbers do not repeat.
    """
    from multiresconv.runs.train import train as train_run
    from multiresconv.training.finite import NonFiniteError
    from multiresconv.training.processes import is_first_process
    from multiresconv.training.stopping import Stopped, parse_time

    is_first = is_first_process()
    directory = RunDirectory(resume or run or Path(f"runs/{task}-{time.strftime('%Y%m%d-%H%M%S')}"))
    options = {**groups, "optimizer": optimizer, "trainer": trainer}
    how_to_go_on = f"multiresconv train {REFERENCES.get(task, task)} --resume {shlex.quote(str(directory.path))}"
    try:
        state = train_run(
            built := TASKS[task](**groups),
            optimizer,
            trainer,
            directory=directory,
            config={
                **{name: plain(asdict(group)) for name, group in options.items()},
                "seed": seed,
                **({} if time_limit is None else {"time_limit": time_limit}),
            },
            seed=seed,
            max_time=None if max_time is None else parse_time(max_time, "max_time"),
            time_limit=None if time_limit is None else parse_time(time_limit, "time_limit"),
            resume=resume is not None,
        )
    except Stopped as stopped:
        if is_first:
            print(f"stopped after step {stopped.step}; go on with: {how_to_go_on}", file=sys.stderr)
        # Lightning's launcher takes a non-zero exit code of a process other than the first for a crash.
        return stopped.exit_code if is_first else 0
    except KeyboardInterrupt:  # the second Ctrl-C stops at once
        if is_first and directory.about.is_file():
            print(f"stopped; go on from the last checkpoint with: {how_to_go_on}", file=sys.stderr)
        return 130
    except NonFiniteError:
        if is_first:
            raise
        return 0
    if is_first and state.best is not None:
        where = f"in epoch {state.best.epoch}" if state.best.epoch else "of ridge regression on untrained features"
        print(f"best validation {built.monitor} {state.best.score:.4f} {where}: {directory.path}")
    return 0


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for YAML, with absolute paths, which hold in any working directory."""
    return {name: _anywhere(value) if isinstance(value, Path) else value for name, value in values.items()}


def _anywhere(path: Path) -> str:
    return str(path if is_on_hub(path) else path.resolve())
