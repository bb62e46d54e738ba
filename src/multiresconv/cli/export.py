"""`multiresconv export MODEL FOLDER`."""

from pathlib import Path
from typing import Literal

from multiresconv.cli.tasks import model_of


def export(
    model: Path,
    folder: Path,
    to: Literal["onnx", "web"] = "onnx",
    chunk: int | None = None,
    example: Path | None = None,
    runtime: Path | None = None,
) -> int:
    """Export a trained model as a folder that runs without PyTorch, or as a page that runs it in the browser.

    Args:
        model: a model folder, or a run directory to load its best model from.
        folder: the folder to write.
        to: onnx writes model.onnx with runners for Python and JavaScript, web a static page for any file server.
        chunk: export for streams, in chunks of at most this many steps; default for whole sequences, of a page 1000.
        example: a file that the page opens at first: a signal (.csv, .tsv, .txt, .wav), a picture (.png) or a text.
        runtime: the tarball or folder of the npm package onnxruntime-web for the page; default what npm gets.
    """
    from torch import device

    from multiresconv.export.folder import export_folder
    from multiresconv.export.page import export_page

    if to == "onnx" and (example or runtime):
        raise ValueError(f"{'example' if example else 'runtime'}: only a page has one; add --to web")
    exported = model_of(model, device("cpu"))
    if to == "onnx":
        export_folder(exported, folder, chunk)
        print(f"{folder}: model.onnx, run.py, model.js, package.json, README.md, Dockerfile")
        return 0
    export_page(exported, folder, source=model.name, example=example, runtime=runtime, chunk=chunk)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    print(f"{folder}: a page of {size / 1e6:.1f} MB; serve it: python -m http.server --bind 127.0.0.1 -d {folder} 8000")
    return 0
