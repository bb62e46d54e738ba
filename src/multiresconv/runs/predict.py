"""Predict with a trained model, for complete sequences and for a stream; no run or task is needed."""

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from multiresconv.models import SequenceModel


@torch.inference_mode()
def predict(model: SequenceModel, rows: Iterable[Tensor], *, batch_size: int) -> Iterator[dict[str, float]]:
    """Yield name -> probability for each row, the most probable name first.

    Args:
        model: a classifier in eval mode.
        rows: sequences (L, channels) or tokens (L,), of any lengths.
        batch_size: number of rows computed together.

    Raises:
        ValueError: batch_size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    device, left = model.head.weight.device, iter(rows)
    while chunk := list(islice(left, batch_size)):
        lengths = torch.tensor([len(row) for row in chunk])
        ragged = bool((lengths != lengths[0]).any())
        x = pad_sequence(chunk, batch_first=True).to(device)
        for logits in model(x, lengths if ragged else None):
            yield ranked(model, logits)


@torch.inference_mode()
def predict_stream(model: SequenceModel, steps: Iterable[Tensor]) -> Iterator[dict[str, float]]:
    """Yield name -> probability after each time step (1, channels) or token (1,), given all steps so far."""
    stream = model.stream()
    for x in steps:
        yield ranked(model, stream(x)[0])


def ranked(model: SequenceModel, logits: Tensor) -> dict[str, float]:
    """Convert logits (C,) to name -> probability, the most probable name first."""
    probabilities = model.output.probabilities(logits).cpu()
    return {model.output.names[int(i)]: float(probabilities[i]) for i in probabilities.argsort(descending=True)}
