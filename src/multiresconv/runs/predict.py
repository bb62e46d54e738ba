"""Predict with a trained model, for complete sequences and for a stream; no run or task is needed."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from multiresconv.layers import SlidingWindow
from multiresconv.layers.stream import Stream
from multiresconv.models import SequenceModel

LONG = 1 << 16  # steps; a longer sequence goes through the model in chunks, because whole it takes about 2 KB per step
CHUNK = 1 << 14  # steps of a long sequence that are computed together
TOGETHER = 1 << 18  # steps of short sequences that are computed together, padding included


@torch.inference_mode()
def predict(
    model: SequenceModel,
    rows: Iterable[Iterable[Tensor]],
    *,
    batch_size: int,
    where: str = "rows",
    long: int = LONG,
) -> Iterator[dict[str, Any]]:
    """Yield the answer for each row; see `answer`.

    A row of more than `long` steps goes through the model in chunks with a state, so that memory does not grow with its
    length. The answers are equal up to rounding: the chunks sum the features of a mean in float64. A
    bidirectional model needs rows whole.

    Args:
        model: a classifier, regressor or forecaster in eval mode.
        rows: sequences of any lengths, each as consecutive blocks (n, channels) or tokens (n,).
        batch_size: number of rows computed together, fewer if they are long.
        where: name of the rows in error messages.
        long: largest number of steps that are computed at once.

    Raises:
        ValueError: batch_size below 1, or the model gives an output that is not finite.
    """
    for number, output in enumerate(outputs(model, rows, batch_size=batch_size, long=long), start=1):
        yield answer(model, output, f"{where}, row {number}")


@torch.inference_mode()
def outputs(
    model: SequenceModel, rows: Iterable[Iterable[Tensor]], *, batch_size: int, long: int = LONG
) -> Iterator[Tensor]:
    """Yield the output of the model for each row in order; see `predict`, which turns it into an answer.

    Raises:
        ValueError: batch_size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    most = long if can_stream(model) else None  # None computes every row whole
    batch: list[Tensor] = []
    for row in rows:
        blocks = iter(row)
        start = _first_blocks(blocks, most)
        if isinstance(start, Tensor):
            longest = max(len(start), max(map(len, batch), default=0))
            if batch and (len(batch) == batch_size or longest * (len(batch) + 1) > TOGETHER):
                yield from _of_batch(model, batch)
                batch = []
            batch.append(start)
        else:
            yield from _of_batch(model, batch)
            batch = []
            yield _of_chunks(model, chain(start, blocks), min(CHUNK, long))
    yield from _of_batch(model, batch)


@torch.inference_mode()
def predict_stream(
    model: SequenceModel,
    steps: Iterable[Tensor],
    *,
    where: str = "stream",
    stream: Stream | SlidingWindow | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the answer after each time step (1, channels) or token (1,); see `answer`.

    Args:
        model: a model in eval mode.
        steps: the time steps.
        where: name of the steps in error messages.
        stream: from `begin_stream`; default one that forgets nothing.

    Raises:
        ValueError: the model gives an output that is not finite; the message names the step.
    """
    stream = model.stream() if stream is None else stream
    for number, x in enumerate(steps, start=1):
        yield answer(model, stream(x)[0], f"{where}, step {number}")


def answer(model: SequenceModel, output: Tensor, where: str) -> dict[str, Any]:
    """Convert the output of a model for one sequence to values by name; errors begin with `where`.

    Returns:
        Of classes and labels: name -> probability, the most probable name first. Of values: name -> value. Of
        forecasts: name of the channel -> quantile, or "value" without quantiles -> list of the next values.
    """
    kind, names = model.output.kind, model.output.names
    values = (model.output.probabilities(output) if kind in ("class", "labels") else output).cpu()
    if not values.isfinite().all():
        what = "a probability" if kind in ("class", "labels") else "a value"
        raise ValueError(f"{where}: the model gives {what} that is not finite; its input has extreme values")
    if kind == "forecast":
        quantiles = [f"{quantile:g}" for quantile in model.output.quantiles] or ["value"]
        return {
            name: dict(zip(quantiles, values[:, channel].T.tolist(), strict=True)) for channel, name in enumerate(names)
        }
    if kind == "value":
        return dict(zip(names, values.tolist(), strict=True))
    return {names[int(i)]: float(values[i]) for i in values.argsort(descending=True)}


def can_stream(model: SequenceModel) -> bool:
    return not model.net.config.get("bidirectional")


def _first_blocks(blocks: Iterator[Tensor], long: int | None) -> Tensor | list[Tensor]:
    """Return the whole sequence, or its first blocks if it has more than `long` steps."""
    start: list[Tensor] = []
    for block in blocks:
        start.append(block)
        if long is not None and sum(map(len, start)) > long:
            return start
    return torch.cat(start)


def _of_batch(model: SequenceModel, rows: list[Tensor]) -> Iterator[Tensor]:
    if rows:
        lengths = torch.tensor([len(row) for row in rows])
        ragged = bool((lengths != lengths[0]).any())
        x = pad_sequence(rows, batch_first=True).to(model.head.weight.device)
        yield from model(x, lengths if ragged else None)


def _of_chunks(model: SequenceModel, blocks: Iterable[Tensor], most: int) -> Tensor:
    state, last = model.init_state(1), torch.empty(0)
    for block in blocks:
        for chunk in block.split(most):
            outputs, state = model.after(chunk.unsqueeze(0).to(model.head.weight.device), state)
            last = outputs[0]
    return last
