"""`multiresconv predict MODEL FILE...`."""

import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from multiresconv.cli.predict_stream import StreamOptions
from multiresconv.cli.predict_table import TableOptions, model_folder, predict_table
from multiresconv.cli.tasks import model_of

if TYPE_CHECKING:
    from multiresconv.data.readers.surroundings import WantedEvents
    from multiresconv.models import Output

PRESENT = 0.5  # least probability of a label that is printed as present
NONE = "-"  # what is printed in place of labels if none is present


def predict(
    model: Path,
    files: list[Path],
    stream: bool = False,
    json: bool = False,
    events: str | None = None,
    before: float | None = None,
    after: float | None = None,
    keep: str | None = None,
    missing: Literal["refuse", "hold", "mask"] | None = None,
    batch_size: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    table: Path | None = None,
    out: Path | None = None,
    engine: Literal["local", "ray"] | None = None,
    workers: int | None = None,
    address: str | None = None,
    rows_of_part: int | None = None,
    window: float | None = None,
    hop: float | None = None,
    half_life: float | None = None,
    warm_up: float | None = None,
) -> int:
    """Predict rows of files with a trained model: print labels and probabilities, values, or forecasts.

    Of a model of classes the most probable one is printed, of labels all with a probability of at least 0.5, most
    probable first, or - if there is none; then the next few. With several files the name of the file comes first.
    With a table of recordings the predictions become a folder of Parquet files. The same command goes on where it was
    interrupted. The exit code is 1 if a recording could not be predicted.

    Args:
        model: a model folder, a run directory to load its best model from, or hub:owner/name[@revision].
        files: pictures (PNG, JPEG, GIF, BMP, TIFF, PPM), .npy, .csv, WFDB records or texts, depending on the model's
            input; - reads text from standard input.
        stream: read time steps from standard input, one per line, and print the running prediction after each.
        json: print one JSON object per row, with the probability of every label or all values.
        events: predict a window around each event of the recordings, such as each beat: the suffix of its file, such as
            atr, or the name of a table with columns file, time and label; as in train. Its time and label come first.
        before: seconds from the beginning of such a window to its event; default as the model was trained.
        after: seconds from the event to the end of the window; default as the model was trained.
        keep: labels of the events to predict, separated by commas; default all, but of WFDB annotations only beats.
        missing: what to do with a missing value of a signal: refuse it, hold the last good one, or mask it if the model
            was trained with missing values; default as the model says.
        batch_size: rows that are computed together; default 50.
        device: where to compute.
        table: predict every recording that a table lists, in several processes: CSV or Parquet with a column file,
            relative to the table, and perhaps id, start and stop, in seconds.
        out: folder for the predictions of the table, such as predictions.parquet.
        engine: local starts processes on this machine; ray uses Ray, here or on a cluster; default local.
        workers: recordings of how many parts are predicted at the same time; default one for each processor.
        address: of the Ray cluster, as Ray takes it; default the variable RAY_ADDRESS, else Ray is started here.
        rows_of_part: rows of the table that are predicted and written together; default 1000.
        window: cut each recording of the table into windows of so many seconds, as in training. In a stream, predict
            from the last so many seconds only. Samples if the model does not know its sampling rate.
        hop: seconds from the beginning of a window to that of the next; default the window. In a stream the answers are
            those of the last window - hop to window seconds, and the default is a quarter of the window.
        half_life: in a stream, seconds after which a sample counts half; for models that take the mean over the steps.
        warm_up: in a stream, seconds before which nothing is printed.
    """
    from torch import from_numpy

    from multiresconv.data.readers.remarks import Remarks
    from multiresconv.data.readers.text import STANDARD_INPUT, limited_lines
    from multiresconv.devices import choose_device
    from multiresconv.runs.inputs import read_events, read_rows, read_steps
    from multiresconv.runs.predict import predict as predict_rows
    from multiresconv.runs.predict import predict_stream

    if [stream, bool(files), table is not None].count(True) != 1:
        raise ValueError("predict: expected files, or --stream, or --table, and one of them alone")
    of_table = TableOptions(out, engine, workers, address, rows_of_part)
    of_table.check(table)
    of_stream = StreamOptions(window, hop, half_life, warm_up)
    of_stream.check(stream=stream, table=table is not None)
    if table is not None and json:
        raise ValueError("--json: expected no --table, whose predictions are written to --out")
    if stream and (device == "cuda" or batch_size is not None):
        raise ValueError("--stream: runs step by step on the CPU; leave out --batch_size and --device cuda")
    if stream and events is not None:
        raise ValueError("--stream: expected no --events, which are in files")
    path = model if table is None else model_folder(model)
    trained = model_of(path, choose_device("cpu" if stream or table is not None else device))
    wanted = _wanted(events, before, after, keep, trained.input.window)
    kind = trained.output.kind
    if kind == "density":
        raise ValueError(f"{model}: a model of {kind} labels nothing; see multiresconv sample and evaluate")
    size = 50 if batch_size is None else batch_size
    if table is not None:
        return predict_table(
            path,
            trained,
            table,
            of_table,
            window=window,
            hop=hop,
            wanted=wanted,
            missing=missing,
            batch_size=size,
            device=device,
        )

    def show(number: int, answer: dict[str, Any], **where: str | float) -> None:
        place = {**where, "step" if stream else "row": number}
        if json:
            print(dumps({**place, **_as_json(kind, answer)}), flush=stream)
        else:
            start = f"{number}\t" if stream else f"{where['time']:.10g}\t{where['event']}\t" if "time" in where else ""
            of_file = f"{where['file']}\t" if len(files) > 1 else ""
            print("\n".join(f"{of_file}{start}{line}" for line in _lines(trained.output, answer)), flush=stream)

    def tell(remark: object, where: object) -> None:
        print(f"multiresconv: {where}: {remark}", file=sys.stderr, flush=True)

    if stream:
        lines = limited_lines(sys.stdin, "standard input")
        steps = read_steps(trained, lines, missing=missing, tell=lambda remark: tell(remark, "standard input"))
        running, first = of_stream.begin(trained), of_stream.first_shown(trained)
        answers = predict_stream(trained, steps, where="standard input", stream=running)
        for number, probabilities in enumerate(answers, start=1):
            if number >= first:
                show(number, probabilities)
    for file in files:
        remarks = Remarks()
        path = STANDARD_INPUT if str(file) == "-" else file
        of_row = list[dict[str, Any]]()
        if wanted is None:
            rows = read_rows(trained, path, missing=missing, tell=remarks.add)
        else:
            found = list(read_events(trained, path, wanted, missing=missing, tell=remarks.add))
            rows = ((from_numpy(event.signal),) for event in found)
            of_row = [{"time": event.time, "event": event.label} for event in found]
        for number, probabilities in enumerate(predict_rows(trained, rows, batch_size=size, where=str(file)), start=1):
            show(number, probabilities, file=str(file), **(of_row[number - 1] if of_row else {}))
        if str(remarks):
            tell(remarks, file)
    return 0


def _wanted(
    events: str | None, before: float | None, after: float | None, keep: str | None, window: tuple[float, float] | None
) -> "WantedEvents | None":
    """Return the events that the options ask for; `window` is that of the model."""
    from multiresconv.data.readers.surroundings import WantedEvents

    around = {"before": before, "after": after}
    if events is None:
        if given := [name for name, value in {**around, "keep": keep}.items() if value is not None]:
            raise ValueError(f"--{given[0]}: expected with --events, which says where the events are")
        return None
    if window is not None:
        before, after = (window[0] if before is None else before), (window[1] if after is None else after)
    if before is None or after is None:
        raise ValueError(
            "--events: expected --before and --after too, in seconds; the model was not trained on windows"
        )
    return WantedEvents(events, before, after, None if keep is None else [label.strip() for label in keep.split(",")])


def _as_json(kind: str, answer: dict[str, Any]) -> dict[str, Any]:
    if kind in ("class", "labels"):
        label, probability = next(iter(answer.items()))
        given = {"labels": [name for name, value in answer.items() if value >= PRESENT]} if kind == "labels" else {}
        return {"label": label, "probability": probability, **given, "probabilities": answer}
    return {"forecast" if kind == "forecast" else "values": answer}


def _lines(output: "Output", answer: dict[str, Any]) -> list[str]:
    """Return an answer as text: one line, for a forecast one for each of the next time steps."""
    if output.kind in ("class", "labels"):
        ranked = list(answer.items())  # the most probable first
        count = 1 if output.kind == "class" else sum(value >= PRESENT for _, value in ranked)
        labels = ";".join(name for name, _ in ranked[:count]) or NONE
        probabilities = ";".join(f"{value:.3f}" for _, value in ranked[:count]) or NONE
        others = " ".join(f"{name}:{value:.3f}" for name, value in ranked[count : count + 3])
        return [f"{labels}\t{probabilities}\t{others}"]
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
