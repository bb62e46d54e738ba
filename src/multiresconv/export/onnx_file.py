"""`to_onnx`: writes a model as an ONNX file."""

import copy
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from multiresconv.export.chunks import Chunks
from multiresconv.export.int8 import quantised, rounded
from multiresconv.export.ridge_chunks import RidgeChunks
from multiresconv.export.whole import WholeSequences
from multiresconv.files import write_atomically
from multiresconv.installation import how_to_install
from multiresconv.layers import MultiresLayer
from multiresconv.models import MultiresAR, MultiresFeatures, MultiresRidge
from multiresconv.models.description import to_dict
from multiresconv.models.sequence_model import SequenceModel

OPSET = 18


def to_onnx(
    model: SequenceModel, path: str | os.PathLike[str], chunk: int | None = None, *, int8: bool = False
) -> None:
    """Write a model as one ONNX file (opset 18) that computes in float32.

    The batch size is any. Inputs and outputs are float32 or int32:

    - whole sequences (the default): "x" (B, L, d_input) of any length, tokens (B, L) or pixels; "lengths" (B,), the
      valid steps of each sequence, 1..L, which are not checked; "y", the outputs of the model.
    - chunks of a stream: "x" (B, n, ...) with 1 <= n <= chunk, and a state, zeros before the first step; "y", the
      outputs after each step (B, n, ...), and the next state. The state of input "lines" is output "next_lines", and so
      on; see `Chunks` and `RidgeChunks`.

    The outputs are those of the model, so logits of classes and labels. The metadata of the file has the keys "class",
    "input" and "output" (JSON as in `config.json`), "chunk" (JSON: a number or null), "int8" (JSON: true or false) and
    "before" (JSON: the pixel that a density model reads before the first one in chunks, else null).

    Args:
        model: any model; it is not changed. Float64 and half precision become float32.
        path: the file, which is replaced if it exists.
        chunk: largest number of steps of a chunk; None exports whole sequences.
        int8: store the weights of linear maps as int8, see `multiresconv.export.int8`. The file needs ONNX Runtime.

    Raises:
        ImportError: the extra "export" is missing.
        TypeError: this is no model of the library.
        ValueError: chunk is below 1, or the model needs whole sequences.
    """
    check_exportable(model, chunk, int8)
    try:
        from multiresconv.export.running_maximum import running_maximum
    except ImportError as error:
        raise ImportError(f"export needs onnx and onnxscript: {how_to_install('export')} ({error})") from error
    ready, batch = _with_reference(rounded(model) if int8 else model), Dim("batch")
    if chunk is None:
        program, names = WholeSequences(ready), ("x", "lengths")
        arguments, outputs = program.example(), ("y",)
        shapes: Any = ({0: batch, 1: Dim("length")}, {0: batch})
    else:
        program = RidgeChunks(ready) if isinstance(ready, MultiresRidge) else Chunks(ready)
        arguments, names = program.example(min(chunk, 2)), ("x", *program.names)
        outputs = ("y", *(f"next_{name}" for name in program.names))
        steps = {} if chunk == 1 else {1: Dim("steps", max=chunk)}
        shapes = ({0: batch, **steps}, tuple({0: batch} for _ in program.names))
    with _quiet(), torch.no_grad():
        exported = torch.onnx.export(
            program.eval(),
            arguments,
            dynamic_shapes=shapes,
            input_names=names,
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
            custom_translation_table={torch.ops.aten.cummax.default: running_maximum},
        )
    assert exported is not None
    _forget_origins(exported.model)
    exported.model.metadata_props.update(
        {
            "class": type(model).__name__,
            "input": json.dumps(to_dict(model.input)),
            "output": json.dumps(to_dict(model.output)),
            "chunk": json.dumps(chunk),
            "int8": json.dumps(int8),
            "before": json.dumps(_pixel_before(ready, chunk)),
        }
    )
    proto = quantised(exported.model_proto) if int8 else exported.model_proto
    write_atomically(Path(path), lambda part: part.write_bytes(proto.SerializeToString()))


def check_exportable(model: SequenceModel, chunk: int | None, int8: bool) -> None:
    """Raise TypeError or ValueError if `to_onnx` cannot export the model in this form."""
    if not isinstance(model, SequenceModel):
        raise TypeError(f"model: expected a model with input and output, got {type(model).__name__}")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: expected at least 1 step, got {chunk}")
    if chunk is not None and (reason := why_no_chunks(model, int8)):
        raise ValueError(f"chunk: {reason}")


def why_no_chunks(model: SequenceModel, int8: bool) -> str | None:
    """Return why `to_onnx` cannot export the model in chunks, or None if it can."""
    if model.net.config.get("bidirectional"):
        return "a bidirectional model needs whole sequences; export it without"
    if int8 and isinstance(model, MultiresRidge):
        return "chunks of untrained features (MultiresRidge) have float32 weights; export it without, or without int8"
    return None


def _pixel_before(model: SequenceModel, chunk: int | None) -> list[float] | None:
    """Return the pixel that a density model reads before the first one, if it is exported in chunks."""
    if chunk is None or not isinstance(model, MultiresAR):
        return None
    assert model.net.standardise is not None
    return model.net.standardise.mean.tolist()


def _with_reference(model: SequenceModel) -> Any:
    """Return a copy of a model on the CPU, in float32 and eval mode, whose layers run plain PyTorch."""
    ready = copy.deepcopy(model).cpu().float().eval()
    for part in ready.modules():
        if isinstance(part, MultiresLayer | MultiresFeatures):
            part.backend = "reference"
    return ready


def _forget_origins(model: Any) -> None:
    """Remove what the exporter keeps of every node: paths of this machine and lines of source, most of the file."""
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of its own internals from the user."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
