"""`multiresconv export MODEL FOLDER`."""

from pathlib import Path
from typing import Literal

from multiresconv.cli.tasks import model_of, restore
from multiresconv.runs.directory import RunDirectory


def export(
    model: Path,
    folder: Path,
    to: Literal["onnx"] = "onnx",
    chunk: int | None = None,
    int8: bool = False,
    data: Path | None = None,
) -> int:
    """Export a trained model as a folder that runs without PyTorch: model.onnx, run.py, README.md and Dockerfile.

    Args:
        model: a model folder, or a run directory to load its best model from.
        folder: the folder to write.
        to: the format.
        chunk: export for streams, in chunks of at most this many steps; default for whole sequences.
        int8: store the weights of linear maps in 8 bits. Of a run directory, this scores the model on the run's test
            rows before and after, and prints both.
        data: folder of the run's data; default as in the run.
    """
    from torch import device

    from multiresconv.export.folder import export_folder

    if data is not None and not int8:
        raise ValueError(f"--data {data}: expected with --int8, which scores the model on the test rows")
    trained = model_of(model, device("cpu"))
    if int8:
        print(loss_of_rounding(RunDirectory(model), data))
    export_folder(trained, folder, chunk, int8=int8)
    print(f"{folder}: model.onnx, run.py, README.md, Dockerfile")
    return 0


def loss_of_rounding(directory: RunDirectory, folder: Path | None) -> str:
    """Score the best model of a run on its test rows, as it is and with int8 weights; return a table as text.

    Args:
        directory: the run; if it is only a model folder, the text says that nothing was measured.
        folder: folder of the data; default as in the run.
    """
    from torch import device

    from multiresconv.export.int8 import rounded
    from multiresconv.runs.evaluate import best_model, score

    if not directory.about.is_file():
        return "int8: the loss was not measured, since a model folder has no data; name a run directory for that"
    cpu = device("cpu")
    task, trainer = restore(directory, folder=folder)
    model, rows = best_model(task, directory, cpu), task.open("test")
    before, after = (
        task.report(score(task, one, rows, trainer.eval_batch_size, cpu)) for one in (model, rounded(model))
    )
    scores = [name for name, value in before.items() if isinstance(value, float)]
    lines = [f"  {name:<24} {before[name]:>9.4f} {after[name]:>9.4f}" for name in scores]
    return "\n".join([f"{f'test, {len(rows):,} rows':<26} {'float32':>9} {'int8':>9}", *lines])
