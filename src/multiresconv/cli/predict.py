"""`multiresconv predict MODEL FILE...`."""

import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from multiresconv.cli.tasks import model_of

if TYPE_CHECKING:
    from multiresconv.models import Output


def predict(
    model: Path,
    files: list[Path],
    stream: bool = False,
    json: bool = False,
    missing: Literal["refuse", "hold", "mask"] | None = None,
    batch_size: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> int:
    """Predict rows of files with a trained model: print labels and probabilities, values, or forecasts.

    Args:
        model: a model folder, or a run directory to load its best model from.
        files: pictures (PNG, JPEG, GIF, BMP, TIFF, PPM), .npy, .csv, WFDB records or texts, depending on the model's
            input; - reads text from standard input.
        stream: read time steps from standard input, one per line, and print the running prediction after each.
        json: print one JSON object per row, with the probability of every label or all values.
        missing: what to do with a missing value of a signal: refuse it, hold the last good one, or mask it if the model
            was trained with missing values; default as the model says.
        batch_size: rows that are computed together; default 50.
        device: where to compute.
    """
    from multiresconv.data.readers.remarks import Remarks
    from multiresconv.data.readers.text import STANDARD_INPUT, limited_lines
    from multiresconv.devices import choose_device
    from multiresconv.runs.inputs import read_rows, read_steps
    from multiresconv.runs.predict import predict as predict_rows
    from multiresconv.runs.predict import predict_stream

    if stream == bool(files):
        raise ValueError("predict: expected files, or --stream without files")
    if stream and (device == "cuda" or batch_size is not None):
        raise ValueError("--stream: runs step by step on the CPU; leave out --batch_size and --device cuda")
    trained = model_of(model, choose_device("cpu" if stream else device))
    kind = trained.output.kind
    if kind == "density":
        raise ValueError(f"{model}: a model of {kind} labels nothing; see multiresconv sample and evaluate")

    def show(number: int, answer: dict[str, Any], **where: str) -> None:
        place = {**where, "step" if stream else "row": number}
        if json:
            print(dumps({**place, **_as_json(kind, answer)}), flush=stream)
        else:
            start = f"{number}\t" if stream else ""
            print("\n".join(f"{start}{line}" for line in _lines(trained.output, answer)), flush=stream)

    def tell(remark: object, where: object) -> None:
        print(f"multiresconv: {where}: {remark}", file=sys.stderr, flush=True)

    if stream:
        lines = limited_lines(sys.stdin, "standard input")
        steps = read_steps(trained, lines, missing=missing, tell=lambda remark: tell(remark, "standard input"))
        for number, probabilities in enumerate(predict_stream(trained, steps, where="standard input"), start=1):
            show(number, probabilities)
    for file in files:
        remarks = Remarks()
        path = STANDARD_INPUT if str(file) == "-" else file
        rows = read_rows(trained, path, missing=missing, tell=remarks.add)
        size = 50 if batch_size is None else batch_size
        for number, probabilities in enumerate(predict_rows(trained, rows, batch_size=size, where=str(file)), start=1):
            show(number, probabilities, file=str(file))
        if str(remarks):
            tell(remarks, file)
    return 0


def _as_json(kind: str, answer: dict[str, Any]) -> dict[str, Any]:
    if kind in ("class", "labels"):
        label, probability = next(iter(answer.items()))
        return {"label": label, "probability": probability, "probabilities": answer}
    return {"forecast" if kind == "forecast" else "values": answer}


def _lines(output: "Output", answer: dict[str, Any]) -> list[str]:
    """Return an answer as text: one line, for a forecast one for each of the next time steps."""
    if output.kind in ("class", "labels"):
        (label, probability), *others = answer.items()
        runners_up = " ".join(f"{name}:{value:.3f}" for name, value in others[:3])
        return [f"{label}\t{probability:.3f}\t{runners_up}"]
    units = dict(zip(output.names, output.units, strict=True)) if output.units else {}
    if output.kind == "value":
        named = (f"{name}:{value:.6g} {units.get(name, '')}".rstrip() for name, value in answer.items())
        return ["\t".join(named)]
    steps = range(output.horizon or 0)
    return [
        f"+{step + 1}\t"
        + "\t".join(f"{name}:{' '.join(f'{of[step]:.6g}' for of in found.values())}" for name, found in answer.items())
        for step in steps
    ]
