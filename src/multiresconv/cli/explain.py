"""`multiresconv explain MODEL FILE`."""

import sys
from pathlib import Path
from typing import Literal

from multiresconv.cli.tasks import model_of


def explain(
    model: Path,
    file: Path,
    row: int = 1,
    label: str | None = None,
    channels: str | None = None,
    missing: Literal["refuse", "hold", "mask"] | None = None,
    out: Path = Path("explanation.png"),
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> int:
    """Explain a prediction: draw what spoke for and against a label over time, and print the strongest stretches.

    Args:
        model: a model folder, a run directory to load its best model from, or hub:owner/name[@revision].
        file: a file that predict reads; - reads text from standard input.
        row: number of the row in the file, from 1.
        label: the label or value to explain; default the most probable label, or the first value.
        channels: names of the channels to draw, separated by commas; default all, up to 16.
        missing: what to do with a missing value of a signal: refuse it, hold the last good one, or mask it if the model
            was trained with missing values; default as the model says.
        out: path of the picture.
        device: where to compute.
    """
    from multiresconv.data.readers.remarks import Remarks
    from multiresconv.data.readers.text import STANDARD_INPUT
    from multiresconv.devices import choose_device
    from multiresconv.inspection.explain import strongest_stretches
    from multiresconv.inspection.explanation_pictures import ruler_of
    from multiresconv.runs.explain import explain_row

    remarks = Remarks()
    trained = model_of(model, choose_device(device))
    explanation, answer, explained = explain_row(
        trained,
        STANDARD_INPUT if str(file) == "-" else file,
        out,
        row=row,
        label=label,
        channels=None if channels is None else tuple(name.strip() for name in channels.split(",")),
        missing=missing,
        tell=remarks.add,
    )
    form = ".6g" if trained.output.kind == "value" else ".3f"
    print("  ".join(f"{name} {value:{form}}" for name, value in answer.items()))
    signed = "+.4g" if trained.output.kind == "value" else "+.3f"
    unit, step = ruler_of(trained.input)
    evidence = explanation.evidence
    print(f"evidence for {explained}: {evidence.sum():{signed}} over {len(evidence) * step:g} {unit}")
    if explanation.by_input:
        print(f"besides, {explanation.elsewhere:{signed}} for the mean of the training data as input")
    for start, stop, amount in strongest_stretches(evidence):
        print(f"{start * step:g}\t{stop * step:g}\t{amount:{signed}}")
    print(out)
    if explanation.error > 0.02:
        remarks.add(f"the evidence adds up to within {explanation.error:.0%} only; the model is not smooth here")
    if str(remarks):
        print(f"multiresconv: {file}: {remarks}", file=sys.stderr, flush=True)
    return 0
