"""`multiresconv predict MODEL --table TABLE --out FOLDER`."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from multiresconv.runs.directory import RunDirectory

if TYPE_CHECKING:
    from multiresconv.data.readers.surroundings import WantedEvents
    from multiresconv.models import Missing, SequenceModel

ROWS_OF_PART = 1_000


class TableOptions(NamedTuple):
    """Options of `predict` that only a table takes; None is the default."""

    out: Path | None
    engine: Literal["local", "ray"] | None
    workers: int | None
    address: str | None
    rows_of_part: int | None

    def check(self, table: Path | None) -> None:
        """Raise ValueError for options without a table, out of range, or that contradict each other."""
        if table is None:
            if given := [name for name, value in self._asdict().items() if value is not None]:
                raise ValueError(f"--{given[0]}: expected with --table, which lists the recordings")
            return
        if self.out is None or self.out.suffix.lower() in (".csv", ".tsv"):
            got = "none" if self.out is None else str(self.out)
            raise ValueError(f"--out: expected a folder for Parquet files, such as predictions.parquet, got {got}")
        for name, count in (("workers", self.workers), ("rows_of_part", self.rows_of_part)):
            if count is not None and count < 1:
                raise ValueError(f"--{name}: expected at least 1, got {count}")
        if self.address is not None and self.engine != "ray":
            raise ValueError("--address: expected with --engine ray")


def predict_table(
    folder: Path,
    model: "SequenceModel",
    table: Path,
    options: TableOptions,
    *,
    window: float | None,
    hop: float | None,
    wanted: "WantedEvents | None",
    missing: "Missing | None",
    batch_size: int,
    device: str,
) -> int:
    """Predict the recordings of a table; return 1 if one could not be predicted.

    Args:
        folder: the model folder.
        model: the model in it.
        table: the table.
        options: how to go over it.
        window, hop: of the windows that recordings are cut into, see `Work`.
        wanted: events to predict the windows around.
        missing: treatment of missing values.
        batch_size: sequences that are computed together.
        device: where to compute.
    """
    import os

    import torch

    from multiresconv.runs.archive.archive import predict_archive
    from multiresconv.runs.archive.local import run_local
    from multiresconv.runs.archive.on_ray import on_ray
    from multiresconv.runs.archive.work import Work

    _check_model(model, window, wanted, missing)
    assert options.out is not None
    rows_of_part = ROWS_OF_PART if options.rows_of_part is None else options.rows_of_part
    if options.engine == "ray":
        if device == "cuda":
            raise ValueError("--device: expected cpu with --engine ray, whose tasks compute on processors, got cuda")
        engine, threads, device = on_ray(options.workers, options.address), 1, "cpu"
    else:
        workers = options.workers or os.cpu_count() or 1
        engine, threads = nullcontext(partial(run_local, workers=workers)), max(torch.get_num_threads() // workers, 1)
    work = Work(
        folder.resolve(),
        Path(),
        table.resolve().parent,
        missing,
        window,
        hop,
        wanted,
        batch_size,
        device,
        threads,
    )
    decisive: dict[str, Any] = {
        "missing": missing,
        "window": window,
        "hop": hop,
        "events": None if wanted is None else [wanted.events, wanted.before, wanted.after, wanted.keep],
    }
    with engine as run:
        totals = predict_archive(work, table, options.out, run, rows_of_part=rows_of_part, options=decisive)
    told = f"{totals.failed:,} failed, see the column error" if totals.failed else "none failed"
    print(f"{options.out}: {totals.rows:,} rows, {told}")
    return 1 if totals.failed else 0


def model_folder(path: Path) -> Path:
    """Return the model folder that a path names: itself, or that of a run directory.

    Raises:
        ValueError: the model has format 1, whose run says what it lacks.
    """
    from multiresconv.models.files import model_format

    folder = path if (path / "config.json").is_file() else RunDirectory(path).model
    if folder.is_dir() and model_format(folder) == 1:
        raise ValueError(f"{folder}: a model of format 1; for a table, first: multiresconv upgrade RUN")
    return folder


def _check_model(
    model: "SequenceModel", window: float | None, wanted: "WantedEvents | None", missing: "Missing | None"
) -> None:
    """Raise ValueError if the model does not suit the options."""
    from multiresconv.runs.inputs import channels_of

    if model.input.kind == "signal":
        channels_of(model, missing)
    elif window is not None:
        raise ValueError(f"--window: expected none with a model of {model.input.kind}")
    if wanted is None:
        return
    if window is not None:
        raise ValueError("--window: expected none with --events, which have windows of their own")
    if model.input.kind != "signal" or model.input.reading != "select":
        raise ValueError("--events: expected a model that was trained on recordings of your own")
