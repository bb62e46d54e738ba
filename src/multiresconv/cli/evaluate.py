"""`multiresconv evaluate RUN`."""

from pathlib import Path
from typing import Literal

from multiresconv.cli.tasks import restore
from multiresconv.data.splits import Split
from multiresconv.runs.directory import RunDirectory


def evaluate(
    run: Path,
    split: Literal["val", "test", "all"] | None = None,
    file: Path | None = None,
    folder: Path | None = None,
    cache_folder: Path | None = None,
    batch_size: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    task: str | None = None,
    out: Path | None = None,
) -> int:
    """Score the best model of a run: print a table, write evaluation-NAME.json and pictures *-NAME.png.

    Args:
        run: the run directory.
        split: split to score, also used as NAME in the output files; default test. all takes the rows of all splits
            together, for a folder of data that the run has not learned from.
        file: labelled rows in the file format of the run's data, instead of a split. NAME is then file-STEM, where
            STEM is the file name without its suffix.
        folder: folder of the data; default as in the run. If it holds other data than those of the run, NAME is
            SPLIT-of-FOLDER.
        cache_folder: folder for caches; default as in the run.
        batch_size: rows that are scored together; default as in the run's validation.
        device: where to compute.
        task: FILE.py:CLASS of a task of your own; a run alone never makes this command run a file.
        out: folder to write to; default the run directory.
    """
    from multiresconv.devices import choose_device
    from multiresconv.runs.evaluate import check_validation
    from multiresconv.runs.evaluate import evaluate as evaluate_run
    from multiresconv.runs.same_data import holds_other_data

    if split is not None and file is not None:
        raise ValueError(f"--split {split} --file {file}: expected one of them")
    directory = RunDirectory(run)
    built, trainer = restore(directory, folder=folder, cache_folder=cache_folder)
    split = split or "test"
    if split == "val" and file is None:
        check_validation(directory)
    name, source = split, {}
    other = file is None and folder is not None and holds_other_data(built, directory)
    if split == "all" and not other:
        raise ValueError("--split all: expected --folder with other data; the run learned from rows of its own")
    if file is not None:
        name, source = f"file-{file.stem}", {"file": str(file)}
    elif folder is not None:
        source = {"folder": str(folder.resolve())}
        name = f"{split}-of-{folder.resolve().name}" if other else split
    splits: tuple[Split, ...] = ("train", "val", "test") if split == "all" else (split,)
    parts = [built.open_file(file)] if file is not None else [built.open(part) for part in splits]
    evaluation = evaluate_run(
        built,
        directory,
        name=name,
        parts=parts,
        source=source,
        batch_size=trainer.eval_batch_size if batch_size is None else batch_size,
        device=choose_device(device),
    )
    print(f"data: {': '.join((name, *source.values()))}")
    print(built.table(evaluation.report), flush=True)
    try:
        evaluation.write(out or directory.path)
    except OSError as error:
        raise OSError(f"{error}; the scores above are not stored: --out FOLDER stores them elsewhere") from error
    return 0
