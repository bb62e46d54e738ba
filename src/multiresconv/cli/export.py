"""`multiresconv export MODEL FOLDER`."""

from pathlib import Path
from typing import Literal

from multiresconv.cli.tasks import model_of


def export(model: Path, folder: Path, to: Literal["onnx"] = "onnx", chunk: int | None = None) -> int:
    """Export a trained model as a folder that runs without PyTorch: model.onnx, run.py, README.md and Dockerfile.

    Args:
        model: a model folder, or a run directory to load its best model from.
        folder: the folder to write.
        to: the format.
        chunk: export for streams, in chunks of at most this many steps; default for whole sequences.
    """
    from torch import device

    from multiresconv.export.folder import export_folder

    export_folder(model_of(model, device("cpu")), folder, chunk)
    print(f"{folder}: model.onnx, run.py, model.js, package.json, README.md, Dockerfile")
    return 0
