"""`multiresconv predict RUN FILE...`."""

import sys
from json import dumps
from pathlib import Path
from typing import Literal

from multiresconv.cli.tasks import restore
from multiresconv.runs.directory import RunDirectory


def predict(
    run: Path,
    files: list[Path],
    stream: bool = False,
    json: bool = False,
    batch_size: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> int:
    """Label the rows of files with the best model of a run: per row the label, its probability and the runners-up.

    Args:
        run: the run directory.
        files: inputs: pictures, .npy, .csv, WFDB records or expressions, as the task has it; - is text on standard
            input, for listops.
        stream: read time steps from standard input, one a line, and print the running prediction after each.
        json: print one JSON object per row, with the probability of every label.
        batch_size: default as in the run's own validation.
        device: where to compute.
    """
    from multiresconv.devices import choose_device
    from multiresconv.runs.evaluate import best_model, predict_stream
    from multiresconv.runs.evaluate import predict as predict_items

    if stream == bool(files):
        raise ValueError("predict: expected files, or --stream and none")
    if stream and (device == "cuda" or batch_size is not None):
        raise ValueError("--stream: goes step by step on the CPU; leave out --batch_size and --device cuda")
    directory = RunDirectory(run)
    task, trainer = restore(directory)
    if not hasattr(task, "probabilities"):
        raise ValueError(f"{run}: a run of {task.name} labels nothing; see multiresconv sample and evaluate")
    place = choose_device("cpu" if stream else device)
    model = best_model(task, directory, place)

    def show(number: int, probabilities: dict[str, float], **where: str) -> None:
        (label, probability), *others = probabilities.items()
        if json:
            row = {**where, "step" if stream else "row": number, "label": label, "probability": probability}
            print(dumps({**row, "probabilities": probabilities}), flush=stream)
        else:
            runners_up = " ".join(f"{name}:{value:.3f}" for name, value in others[:3])
            start = f"{number}\t" if stream else ""
            print(f"{start}{label}\t{probability:.3f}\t{runners_up}", flush=stream)

    if stream:
        for number, probabilities in enumerate(predict_stream(task, model, sys.stdin), start=1):
            show(number, probabilities)
    for file in files:
        items = list(task.read_inputs(Path("/dev/stdin") if str(file) == "-" else file))
        size = trainer.eval_batch_size if batch_size is None else batch_size
        rows = predict_items(task, model, items, batch_size=size, device=place)
        for number, probabilities in enumerate(rows, start=1):
            show(number, probabilities, file=str(file))
    return 0
