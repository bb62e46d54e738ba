"""Small archives of recordings, a model for them, and processes that die while they read a certain file."""

import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tiny_recordings import write_csv, write_table

from multiresconv.models import Input, MultiresClassifier, Output, SequenceModel, save
from multiresconv.runs.archive.archive import Totals, predict_archive
from multiresconv.runs.archive.part import attempt
from multiresconv.runs.archive.work import Outcome, Task, Work

RATE = 20.0
CHANNELS = ("pressure", "flow")

# Imported by every process with its folder on the path. Opening fatal.csv ends the process as a lack of memory
# would, opening once.csv only the first time; opening killer.csv ends the process that started this one, also once.
FATAL = """\
import builtins, os, pathlib, signal

real = builtins.open

def fatal(file, *arguments, **options):
    name = os.path.basename(os.fspath(file)) if isinstance(file, (str, os.PathLike)) else ""
    mark = pathlib.Path(__file__).with_name("once")
    if name in ("once.csv", "killer.csv") and not mark.exists():
        mark.touch()
        os.kill(os.getpid() if name == "once.csv" else os.getppid(), signal.SIGKILL)
    if name == "fatal.csv":
        os.kill(os.getpid(), signal.SIGKILL)
    return real(file, *arguments, **options)

builtins.open = fatal
"""


def classifier(folder: Path, **options: Any) -> Path:
    """Save a classifier for recordings of the archives and return its folder."""
    torch.manual_seed(1)
    input = Input("signal", CHANNELS, rate=RATE, reading="select")
    output = Output("class", ("calm", "busy", "wild"))
    model = MultiresClassifier(3, d_model=8, n_layers=2, d_input=2, depth=4, input=input, output=output, **options)
    save(model, folder)
    return folder


def write_archive(folder: Path, lengths: Sequence[int], names: Sequence[str] | None = None) -> Path:
    """Write recordings as CSV files and a table `table.csv` of them with ids; return the table's path."""
    folder.mkdir(parents=True, exist_ok=True)
    names = names or [f"r{number:03}.csv" for number in range(len(lengths))]
    for number, (name, length) in enumerate(zip(names, lengths, strict=True)):
        signal = np.random.default_rng(number).normal(size=(length, 2)).astype(np.float32)
        write_csv(folder / name, signal, CHANNELS, RATE)
    return write_table(folder / "table.csv", file=names, id=[f"patient {number}" for number in range(len(names))])


def run_here(work: Work, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
    """Do tasks in this process."""
    yield from (attempt(work, task) for task in tasks)


def predicted(
    model: Path,
    table: Path,
    out: Path,
    *,
    run: Callable[[Work, Sequence[Task]], Generator[Outcome, None, None]] = run_here,
    rows_of_part: int = 4,
    **options: Any,
) -> tuple[pd.DataFrame, Totals]:
    """Predict an archive and read the answers."""
    work = Work(model, Path(), table.parent, **options)
    totals = predict_archive(work, table, out, run, rows_of_part=rows_of_part, options={})
    return pd.read_parquet(out), totals


def probabilities(model: SequenceModel, signal: np.ndarray) -> list[float]:
    """Return the probability of each class for a signal (time, channels), computed alone."""
    with torch.inference_mode():
        return model.output.probabilities(model(torch.from_numpy(signal).unsqueeze(0))[0]).tolist()


def fatal_environment(folder: Path) -> dict[str, str]:
    """Return environment variables for processes that the files of `FATAL` end."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(FATAL)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}
