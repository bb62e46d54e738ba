"""`export_page`: writes a static page that runs a model in the browser."""

import os
from pathlib import Path

from multiresconv.export.onnx_file import check_exportable, to_onnx, why_no_chunks
from multiresconv.export.onnxruntime_web import runtime_files
from multiresconv.files import write_atomically, write_json
from multiresconv.models.sequence_model import SequenceModel

WEB = Path(__file__).with_name("web")
CHUNK = 1000
EXAMPLES = {"signal": (".csv", ".tsv", ".txt", ".wav"), "image": (".png",), "tokens": (".txt",)}


def export_page(
    model: SequenceModel,
    folder: str | os.PathLike[str],
    *,
    source: str,
    example: Path | None = None,
    runtime: Path | None = None,
    chunk: int | None = None,
    int8: bool = False,
) -> None:
    """Write a page into `folder`, which is created if need be: modules, style, onnxruntime-web, model, `index.html`.

    Nothing is written before everything that can be missing is there. Each file is written atomically. An older
    `index.html` is removed first and the new one is written last, so that a folder with one is complete.

    Args:
        model: any model of signals, images or tokens.
        folder: the folder. It needs a file server, but no program on the server.
        source: what the page says that the model comes from, such as the name of a run.
        example: file that the page opens at first: a signal (CSV, TSV, text, WAV), a PNG picture or a text of tokens.
        runtime: tarball or folder of onnxruntime-web; None for the cache and npm, see `runtime_files`.
        chunk: largest number of steps of a chunk; None for 1000. Models that need whole sequences have no chunks.
        int8: store the weights of linear maps as int8, see `to_onnx`.

    Raises:
        ImportError: the extra "export" is missing.
        OSError: a file cannot be read or written.
        ValueError: the page cannot show the model or the example, chunk is below 1, or there is no runtime.
    """
    folder = Path(folder)
    if chunk is None and why_no_chunks(model, int8) is None:
        chunk = CHUNK
    check_exportable(model, chunk, int8)
    kind, side = model.input.kind, model.input.side
    if kind == "image" and side is None:
        raise ValueError("model: the page needs the size of its images, and the model's input names none (side)")
    if model.output.kind == "density" and kind != "image":
        raise ValueError(f"model: the page completes images, and this is a density model of kind {kind!r}")
    if model.output.kind == "density" and model.input.order is not None:
        raise ValueError("model: the page draws row by row, and this density model has another order of pixels")
    if example is not None and example.suffix.lower() not in EXAMPLES[kind]:
        raise ValueError(f"{example}: expected an example of a model of kind {kind!r}: {' or '.join(EXAMPLES[kind])}")
    contents = {path.name: path.read_bytes() for path in sorted(WEB.iterdir()) if path.is_file()}
    contents |= {("onnxruntime-LICENSE" if k == "LICENSE" else k): v for k, v in runtime_files(runtime).items()}
    shown = None
    if example is not None:
        shown = f"example{example.suffix.lower()}"
        contents[shown] = example.read_bytes()
    index = contents.pop("index.html")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").unlink(missing_ok=True)
    for name, content in contents.items():
        _write(folder / name, content)
    weights = sum(parameter.numel() for parameter in model.parameters())
    write_json(folder / "page.json", {"source": source, "weights": weights, "example": shown})
    to_onnx(model, folder / "model.onnx", chunk, int8=int8)
    _write(folder / "index.html", index)


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda part: part.write_bytes(content))
