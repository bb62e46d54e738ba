"""Convert users' files and lines of text to the input of a model, following the model's description."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.data.listops import read_sources
from multiresconv.data.readers.images import read_images, read_pixels
from multiresconv.data.readers.signals import read_samples, read_signals
from multiresconv.models import Input


def read_rows(input: Input, path: Path) -> Iterator[Tensor]:
    """Read the sequences of a file: (L, channels), or tokens (L,).

    Args:
        input: description of the model's input.
        path: a picture, `.npy`, `.csv`, WFDB record or text file; see `data/readers`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the content does not fit the model; the message names file and line.
    """
    if input.kind == "image":
        pixels = np.array(read_images(path, input.side or 0, len(input.channels)))
        ordered = pixels if input.order is None else pixels[:, list(input.order)]
        return (torch.from_numpy(row) for row in ordered)
    if input.kind == "signal":
        return (torch.from_numpy(signal) for signal in read_signals(path, input.channels, input.rate or 0.0))
    return (torch.from_numpy(_sequence(text, input, str(path))) for text in _texts(path, input))


def read_steps(input: Input, lines: Iterable[str]) -> Iterator[Tensor]:
    """Read a stream step by step: (1, channels) or tokens (1,), one line of text per step.

    For a model of tokens, a line may hold several tokens separated by blanks; an empty line means the end token.

    Raises:
        ValueError: the content does not fit the model; the message names the line.
    """
    if input.kind == "image":
        yield from (torch.from_numpy(pixel) for pixel in read_pixels(lines, len(input.channels)))
    elif input.kind == "signal":
        yield from (torch.from_numpy(sample) for sample in read_samples(lines, input.channels))
    else:
        for number, line in enumerate(lines, start=1):
            words = line if line.strip() else input.end or ""
            yield from torch.from_numpy(_numbers(words, input, f"line {number}")).unsqueeze(1)


def _texts(path: Path, input: Input) -> Iterator[str]:
    if input.syntax == "listops":
        yield from read_sources(path)
        return
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        yield from file


def _sequence(text: str, input: Input, where: str) -> NDArray[np.int64]:
    """Return the token numbers of a text, truncated to the model's limit, then the end token if it has one."""
    numbers = _numbers(text, input, where)
    if input.end is None:
        return numbers[: input.max_tokens]
    most = None if input.max_tokens is None else input.max_tokens - 1
    return np.append(numbers[:most], input.vocabulary.index(input.end))


def _numbers(text: str, input: Input, where: str) -> NDArray[np.int64]:
    known = {token: number for number, token in enumerate(input.vocabulary)}
    words = text.translate({ord(character): " " for character in input.ignored}).split()
    for word in words:
        if word not in known:
            raise ValueError(f"{where}: unknown token {word!r}, expected one of {' '.join(known)}")
    if not words:
        raise ValueError(f"{where}: expected tokens, got none")
    return np.array([known[word] for word in words], np.int64)
