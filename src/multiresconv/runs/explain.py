"""Explain the prediction for one row of a user's file, and draw the explanation."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from multiresconv.data.readers.remarks import Tell, tell_nobody
from multiresconv.fields import shown
from multiresconv.inspection.explain import Explanation, explain
from multiresconv.inspection.explanation_pictures import draw_explanation
from multiresconv.models import Missing, MultiresRidge, SequenceModel
from multiresconv.models.pooled import PooledModel
from multiresconv.runs.inputs import read_rows
from multiresconv.runs.predict import CHUNK, LONG, answer, can_stream


class Explained(NamedTuple):
    """An explained prediction: its answer, see `predict.answer`, and the name of the explained label or value."""

    explanation: Explanation
    answer: dict[str, float]
    label: str


def explain_row(
    model: SequenceModel,
    path: Path,
    out: Path,
    *,
    row: int = 1,
    label: str | None = None,
    channels: tuple[str, ...] | None = None,
    missing: Missing | None = None,
    tell: Tell = tell_nobody,
    long: int = LONG,
) -> Explained:
    """Explain the prediction for one row of a file and write the picture to `out`.

    A causal model that pools the mean or the maximum computes a row of more than `long` steps in chunks.

    Args:
        model: a classifier or regressor in eval mode.
        path: the file; see `read_rows`.
        out: path of the picture, a .png.
        row: number of the row in the file, from 1.
        label: name of the label or value to explain; default the most probable label, or the first value.
        channels: names of the channels of a signal to draw; default all, up to a limit.
        missing: treatment of missing samples of a signal; default as the model's input says.
        tell: takes remarks on the file.
        long: largest number of steps that are computed at once.

    Raises:
        OSError: the file cannot be read, or the picture not written.
        ValueError: the model forecasts or gives densities, or an option or the content does not fit the model.
    """
    input, names = model.input, model.output.names
    if not isinstance(model, PooledModel | MultiresRidge):
        kind = model.output.kind
        raise ValueError(f"model: expected one of classes, labels or values, a model of {kind} has no evidence")
    if out.suffix != ".png":
        raise ValueError(f"out: expected the path of a .png file, got {out}")
    if label is not None and label not in names:
        raise ValueError(f"label: expected one of {', '.join(names)}, got {shown(label)}")
    numbers = None if channels is None else _channel_numbers(model, channels)
    x = _read_row(model, path, row, missing, tell)
    chunk = CHUNK if len(x) > long and can_stream(model) else None
    number = None if label is None else names.index(label)
    explanation = explain(model, x, label=number, chunk=None if chunk is None else min(chunk, long))
    where = f"{path}, row {row}"
    said = answer(model, explanation.outputs, where)
    label = names[explanation.label]
    total = explanation.evidence.sum()
    what = f"{said[label]:.4g}" if model.output.kind == "value" else f"probability {said[label]:.3f}"
    title = f"{where}: {label}, {what}, evidence {total:+.3g}"
    draw_explanation(out, explanation, x.numpy(), input, title, numbers, value=model.output.kind == "value")
    return Explained(explanation, said, label)


def _channel_numbers(model: SequenceModel, channels: tuple[str, ...]) -> list[int]:
    known = model.input.channels
    if model.input.kind != "signal":
        raise ValueError(f"channels: only of a signal some can be chosen, the model takes a {model.input.kind}")
    for name in channels:
        if name not in known:
            raise ValueError(f"channels: expected some of {', '.join(known)}, got {shown(name)}")
    return [known.index(name) for name in channels]


def _read_row(model: SequenceModel, path: Path, row: int, missing: Missing | None, tell: Tell) -> Tensor:
    """Return one row of a file, (L, d_input) or tokens (L,)."""
    count = 0
    for blocks in read_rows(model, path, missing=missing, tell=tell) if row >= 1 else ():
        count += 1
        if count == row:
            return torch.cat(list(blocks))
        for _ in blocks:  # the reader goes on when a row has been read
            pass
    raise ValueError(f"row: expected {f'1 to {count} for {path}' if row >= 1 else 'at least 1'}, got {row}")
