"""`multiresconv evaluate RUN`."""

from pathlib import Path
from typing import Literal

from multiresconv.cli.tasks import restore
from multiresconv.runs.directory import RunDirectory


def evaluate(
    run: Path,
    split: Literal["val", "test"] | None = None,
    file: Path | None = None,
    folder: Path | None = None,
    cache_folder: Path | None = None,
    batch_size: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    task: str | None = None,
) -> int:
    """Score the best model of a run: print a table, write evaluation-NAME.json and pictures *-NAME.png into the run.

    Args:
        run: the run directory.
        split: split to score, also used as NAME in the output files; default test.
        file: labelled rows in the file format of the run's data, instead of a split. NAME is then file-STEM, where
            STEM is the file name without its suffix.
        folder: folder of the data; default as in the run.
        cache_folder: folder for caches; default as in the run.
        batch_size: rows that are scored together; default as in the run's validation.
        device: where to compute.
        task: FILE.py:CLASS of a task of your own; a run alone never makes this command run a file.
    """
    from multiresconv.devices import choose_device
    from multiresconv.runs.evaluate import check_validation
    from multiresconv.runs.evaluate import evaluate as evaluate_run

    if split is not None and file is not None:
        raise ValueError(f"--split {split} --file {file}: expected one of them")
    directory = RunDirectory(run)
    built, trainer = restore(directory, folder=folder, cache_folder=cache_folder)
    split = split or "test"
    if split == "val" and file is None:
        check_validation(directory)
    report = evaluate_run(
        built,
        directory,
        name=split if file is None else f"file-{file.stem}",
        rows=built.open(split) if file is None else built.open_file(file),
        file=file,
        batch_size=trainer.eval_batch_size if batch_size is None else batch_size,
        device=choose_device(device),
    )
    print(f"data: {report['data']}")
    print(built.table(report))
    return 0
