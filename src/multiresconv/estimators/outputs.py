"""Outputs of models for sequences in memory, and of one that arrives step by step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from multiresconv.data.batches import LengthBuckets, padded_length
from multiresconv.estimators.sequences import Sequences, read_chunk
from multiresconv.models import MultiresRidge, SequenceModel

TOGETHER = 1 << 18  # time steps that are computed together, padding included
BATCH = 64  # sequences that are computed together


@torch.inference_mode()
def outputs_of(model: Any, sequences: Sequences) -> NDArray[np.float64]:
    """Return the outputs (n, ...) of a model for sequences (channels, time_i)."""
    lengths = np.array([x.shape[1] for x in sequences])
    size = int(np.clip(TOGETHER // padded_length(int(lengths.max())), 1, BATCH))
    found: list[Any] = [None] * len(sequences)
    for rows in LengthBuckets(lengths, size, shuffle=False):
        longest = int(lengths[rows].max())
        x = torch.zeros(len(rows), longest, len(sequences[0]))
        for place, row in enumerate(rows):
            x[place, : lengths[row]] = torch.from_numpy(np.ascontiguousarray(sequences[row].T))
        ragged = bool((lengths[rows] < longest).any())
        for row, output in zip(rows, model(x, torch.from_numpy(lengths[rows]) if ragged else None), strict=True):
            found[row] = output.double().numpy()
    return np.stack(found)


def running(model: SequenceModel) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """Return a function from a step (channels,) or a chunk (channels, t) of one sequence to the outputs after it."""
    if isinstance(model, MultiresRidge):  # after a chunk, not after each of its steps
        state = model.init_state(1)
        return lambda x: _numbers(model.after(_chunk(x, model), state)[0][0])
    stream = model.stream(1)
    return lambda x: _numbers(stream(_chunk(x, model))[0, -1])


def _chunk(x: ArrayLike, model: SequenceModel) -> torch.Tensor:
    """Return a step or a chunk of one sequence as (1, t, channels)."""
    return torch.from_numpy(np.ascontiguousarray(read_chunk(x, model.input.size).T)).unsqueeze(0)


def _numbers(outputs: torch.Tensor) -> NDArray[np.float64]:
    return outputs.detach().double().numpy()


def names_of(classes: NDArray[Any]) -> tuple[str, ...]:
    """Return the names of classes in a model's output."""
    return tuple(map(str, classes.tolist()))
