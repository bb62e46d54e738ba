"""Outputs of models for sequences in memory, and of one that arrives step by step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from multiresconv.data.batches import LengthBuckets, padded_length
from multiresconv.estimators.sequences import Sequences, read_chunk
from multiresconv.layers.sliding_window import window_and_hop
from multiresconv.models import MultiresRidge, SequenceModel, begin_stream

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


def running(
    model: SequenceModel, window: int | None = None, hop: int | None = None
) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """Return a function from a step (channels,) or a chunk (channels, t) of one sequence to the outputs after it.

    Args:
        model: the model.
        window, hop: what the outputs depend on; see `begin_stream`.
    """
    if isinstance(model, MultiresRidge):
        return _running_ridge(model, window, hop)
    stream = begin_stream(model, window=window, hop=hop)

    def answer(x: ArrayLike) -> NDArray[np.float64]:
        chunk = read_chunk(x, model.input.size)
        outputs = stream(torch.from_numpy(np.ascontiguousarray(chunk.T)).unsqueeze(0))
        return outputs[0, -1].detach().double().numpy()

    return answer


def _running_ridge(
    model: MultiresRidge, window: int | None, hop: int | None
) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """As `running`, in NumPy, which takes a fraction of the time of as many small calls of PyTorch."""
    if window is not None:
        window, hop = window_and_hop(window, hop)
    elif hop is not None:
        raise ValueError("hop: expected a window too")
    counters, scale = [model.net.counter()], model.target_standardise  # the oldest first
    weight, bias, centre, mean, std = (
        t.detach().cpu().float().numpy().copy()
        for t in (model.head.weight, model.head.bias, model.centre, scale.mean, scale.std)
    )

    def answer(x: ArrayLike) -> NDArray[np.float64]:
        chunk = read_chunk(x, model.net.n_inputs)
        while chunk.shape[1]:
            if counters[-1].steps == hop:
                counters.append(model.net.counter())
            size = chunk.shape[1] if hop is None else hop - counters[-1].steps
            for counter in counters:
                counter.advance(chunk[:, :size])
            while window is not None and counters[0].steps > window:
                del counters[0]
            chunk = chunk[:, size:]
        return ((weight @ (counters[0].features() - centre) + bias) * std + mean).astype(np.float64)

    return answer


def names_of(classes: NDArray[Any]) -> tuple[str, ...]:
    """Return the names of classes in a model's output."""
    return tuple(map(str, classes.tolist()))
