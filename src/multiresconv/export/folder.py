"""`export_folder`: writes a folder that runs a model without PyTorch and without this library."""

import os
from pathlib import Path

from multiresconv.export.card import exported_card
from multiresconv.export.onnx_file import check_exportable, to_onnx
from multiresconv.export.onnxruntime_web import VERSION
from multiresconv.files import write_json, write_text
from multiresconv.models.sequence_model import SequenceModel

RUNNER = Path(__file__).with_name("runner.py")
RUNNER_IN_JAVASCRIPT = Path(__file__).with_name("web") / "model.js"
PACKAGE = {"private": True, "type": "module", "dependencies": {"onnxruntime-web": VERSION}}
DOCKERFILE = """\
FROM python:3.12-slim
RUN pip install --no-cache-dir "numpy>=1.26" "onnxruntime>=1.20"
WORKDIR /model
COPY model.onnx run.py ./
USER nobody
ENTRYPOINT ["python", "run.py"]
"""


def export_folder(
    model: SequenceModel, folder: str | os.PathLike[str], chunk: int | None = None, *, int8: bool = False
) -> None:
    """Write the runners, a card, a Dockerfile and, last, `model.onnx` into `folder`, which is created if need be.

    The runners are `run.py` and `model.js`; `package.json` names what `model.js` needs in node. Each file is written
    atomically. An older `model.onnx` is removed first, so that a folder with one is complete.

    Args:
        model: any model.
        folder: the folder.
        chunk: largest number of steps of a chunk; None exports whole sequences. See `to_onnx`, also for the errors.
        int8: store the weights of linear maps as int8, see `to_onnx`.
    """
    check_exportable(model, chunk, int8)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").unlink(missing_ok=True)
    write_text(folder / "run.py", RUNNER.read_text(encoding="utf-8"))
    write_text(folder / "model.js", RUNNER_IN_JAVASCRIPT.read_text(encoding="utf-8"))
    write_json(folder / "package.json", PACKAGE)
    write_text(folder / "README.md", exported_card(model, chunk, int8))
    write_text(folder / "Dockerfile", DOCKERFILE)
    to_onnx(model, folder / "model.onnx", chunk, int8=int8)
