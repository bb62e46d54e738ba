"""`multiresconv export MODEL FOLDER`."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from multiresconv.cli.tasks import model_of, restore
from multiresconv.runs.directory import RunDirectory

if TYPE_CHECKING:
    from multiresconv.models import SequenceModel


def export(
    model: Path,
    folder: Path,
    to: Literal["onnx", "web"] = "onnx",
    chunk: int | None = None,
    int8: bool = False,
    data: Path | None = None,
    example: Path | None = None,
    runtime: Path | None = None,
) -> int:
    """Export a trained model as a folder that runs without PyTorch, or as a page that runs it in the browser.

    Args:
        model: a model folder, a run directory to load its best model from, or hub:owner/name[@revision].
        folder: the folder to write.
        to: onnx writes model.onnx with runners for Python and JavaScript, web a static page for any file server.
        chunk: export for streams, in chunks of at most this many steps; default for whole sequences, of a page 1000.
        int8: store the weights of linear maps in 8 bits. Of a run directory, this scores the model on the run's test
            rows before and after, and prints both.
        data: folder of the run's data; default as in the run.
        example: a file that the page opens at first: a signal (.csv, .tsv, .txt, .wav), a picture (.png) or a text.
        runtime: the tarball or folder of the npm package onnxruntime-web for the page; default what npm gets.
    """
    from torch import device

    from multiresconv.export.folder import export_folder
    from multiresconv.export.onnx_file import check_exportable
    from multiresconv.export.page import export_page

    if data is not None and not int8:
        raise ValueError(f"--data {data}: expected with --int8, which scores the model on the test rows")
    if to == "onnx" and (example or runtime):
        raise ValueError(f"{'example' if example else 'runtime'}: only a page has one; add --to web")
    exported = model_of(model, device("cpu"))
    check_exportable(exported, chunk, int8)
    if int8:
        print(loss_of_rounding(exported, RunDirectory(model), data))
    if to == "onnx":
        export_folder(exported, folder, chunk, int8=int8)
        print(f"{folder}: model.onnx, run.py, model.js, package.json, README.md, Dockerfile")
        return 0
    export_page(exported, folder, source=model.name, example=example, runtime=runtime, chunk=chunk, int8=int8)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    print(f"{folder}: a page of {size / 1e6:.1f} MB; serve it: python -m http.server --bind 127.0.0.1 -d {folder} 8000")
    return 0


def loss_of_rounding(model: "SequenceModel", directory: RunDirectory, folder: Path | None) -> str:
    """Score a run's best model on the test rows, as it is and with int8 weights; return a table as text.

    Args:
        model: the best model of the run.
        directory: the run; if it is only a model folder, the text says that nothing was measured.
        folder: folder of the data; default as in the run.
    """
    from torch import device

    from multiresconv.export.int8 import rounded
    from multiresconv.runs.evaluate import score

    if not directory.about.is_file():
        return "int8: the loss was not measured, since a model folder has no data; name a run directory for that"
    cpu = device("cpu")
    task, trainer = restore(directory, folder=folder)
    rows = task.open("test")
    before, after = (
        task.report(score(task, one, [rows], trainer.eval_batch_size, cpu)) for one in (model, rounded(model))
    )
    scores = [name for name, value in before.items() if isinstance(value, float)]
    lines = [f"  {name:<24} {before[name]:>9.4f} {after[name]:>9.4f}" for name in scores]
    return "\n".join([f"{f'test, {len(rows):,} rows':<26} {'float32':>9} {'int8':>9}", *lines])
