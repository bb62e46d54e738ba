"""Convert users' files and lines of text to the input of a model, following the model's description."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.data.listops import numbered_sources
from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.images import read_images, read_pixels
from multiresconv.data.readers.levels import doubt_levels
from multiresconv.data.readers.remarks import Tell, tell_nobody
from multiresconv.data.readers.samples import read_samples
from multiresconv.data.readers.signals import read_signals
from multiresconv.data.readers.surroundings import Surroundings, WantedEvents, read_surroundings
from multiresconv.data.readers.text import read_lines
from multiresconv.fields import shown
from multiresconv.models import Input, Missing, SequenceModel

# Standard deviations around the mean of the training data that count as usual if a model does not know the usual range
USUAL_DEVIATIONS = 10.0
UNLIKE = 2  # times that a row is longer than every training row, or shorter, when that is told

Row = Iterable[Tensor]  # a sequence as consecutive blocks: (n, channels), or tokens (n,)


def read_rows(
    model: SequenceModel, path: Path, *, missing: Missing | None = None, tell: Tell = tell_nobody
) -> Iterator[Row]:
    """Read the sequences of a file; read the blocks of each before asking for the next.

    Args:
        model: the model; its input and standardisation say what to expect.
        path: a picture, `.npy`, `.csv`, WFDB record or text file; see `data/readers`.
        missing: treatment of missing samples of a signal; default as the model's input says.
        tell: takes remarks on the file: conversions, and doubts about its values.

    Raises:
        OSError: the file cannot be read.
        ValueError: the content does not fit the model; the message names the file and the place in it.
    """
    input = model.input
    if input.kind == "image":
        if input.side is None:
            raise ValueError("input: side: expected the size of the images, the model does not state it")
        pixels = read_images(path, input.side, len(input.channels), tell)
        for doubt in doubt_levels(pixels, _statistics(model)):
            tell(doubt)
        order = slice(None) if input.order is None else list(input.order)
        yield from ((torch.from_numpy(row[order].copy()),) for row in pixels)
    elif input.kind == "signal":
        for signal in read_signals(path, channels_of(model, missing), tell):
            yield _counted(map(torch.from_numpy, signal), input, tell)
    else:
        yield from ((torch.from_numpy(_sequence(text, input, where)),) for where, text in _texts(path, input))


def read_events(
    model: SequenceModel, path: Path, wanted: WantedEvents, *, missing: Missing | None = None, tell: Tell = tell_nobody
) -> Iterator[Surroundings]:
    """Read the windows around the events of a recording, see `read_surroundings`.

    Raises:
        OSError: a file cannot be read.
        ValueError: the model takes no recordings, or a file does not fit it; the message names the file.
    """
    if model.input.kind != "signal" or model.input.reading != "select":
        raise ValueError("events: expected a model that was trained on recordings of your own, which take any channels")
    for found in read_surroundings(path, channels_of(model, missing), wanted, tell):
        doubt_length(len(found.signal), model.input, tell)
        yield found


def read_steps(
    model: SequenceModel, lines: Iterable[str], *, missing: Missing | None = None, tell: Tell = tell_nobody
) -> Iterator[Tensor]:
    """Read a stream step by step: (1, channels) or tokens (1,), one line of text per step.

    For a model of tokens, a line may hold several tokens separated by blanks; an empty line means the end token.

    Raises:
        ValueError: the content does not fit the model; the message names the line.
    """
    input = model.input
    if input.kind == "image":
        yield from (torch.from_numpy(pixel) for pixel in read_pixels(lines, len(input.channels)))
    elif input.kind == "signal":
        yield from map(torch.from_numpy, read_samples(lines, channels_of(model, missing), tell=tell))
    else:
        yield from _token_steps(input, lines)


def _counted(blocks: Row, input: Input, tell: Tell) -> Iterator[Tensor]:
    """Yield the blocks of a row, then doubt its length."""
    count = 0
    for block in blocks:
        count += len(block)
        yield block
    doubt_length(count, input, tell)


def doubt_length(count: int, input: Input, tell: Tell) -> None:
    """Tell a row that is far shorter or longer than every training row."""
    if input.steps is None or (input.steps[0] <= UNLIKE * count and count <= UNLIKE * input.steps[1]):
        return
    fewest, most = (f"{steps:,}" for steps in input.steps)
    known = fewest if fewest == most else f"{fewest} to {most}"
    events = "; predict windows around events with --events" if input.window is not None else ""
    tell(f"a row of {count:,} time steps, the model learned from rows of {known}{events}")


def _token_steps(input: Input, lines: Iterable[str]) -> Iterator[Tensor]:
    count = 0
    for number, line in enumerate(lines, start=1):
        where = f"standard input, line {number}"
        tokens = _numbers(line if line.strip() else input.end or "", input, where)
        count += len(tokens)
        _check_length(count, input, where)
        yield from torch.from_numpy(tokens).unsqueeze(1)


def channels_of(model: SequenceModel, missing: Missing | None) -> Channels:
    """Return what the model says about its signal; the standardisation tells the usual range if nothing else does.

    Raises:
        ValueError: `missing` is "mask", but the model was trained without missing values.
    """
    input, usual = model.input, model.input.usual
    statistics = _statistics(model)
    if usual is None and statistics is not None:
        mean, spread = statistics[0], USUAL_DEVIATIONS * statistics[1]
        usual = tuple(zip((mean - spread).tolist(), (mean + spread).tolist(), strict=True))
    missing = missing or input.missing
    if missing == "mask" and not (model.net.standardise is not None and model.net.standardise.mask_missing):
        raise ValueError("missing: expected refuse or hold, got mask; the model was trained without missing values")
    select = input.reading == "select"
    return Channels(input.channels, input.unit, input.rate, usual, input.named, missing, select)


def _statistics(model: SequenceModel) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return mean and standard deviation (C,) of the training data, or None if the model does not know them."""
    standardise = model.net.standardise
    if standardise is None:
        return None
    mean, std = (buffer.detach().double().cpu().numpy() for buffer in (standardise.mean, standardise.std))
    return None if (mean == 0).all() and (std == 1).all() else (mean, std)


def _texts(path: Path, input: Input) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each sequence."""
    empty = True
    lines = numbered_sources(path) if input.syntax == "listops" else enumerate(read_lines(path), start=1)
    for number, text in lines:
        empty = False
        yield f"{path}, line {number}", text
    if empty:
        raise ValueError(f"{path}: expected a sequence of tokens on each line, got no line")


def _sequence(text: str, input: Input, where: str) -> NDArray[np.int64]:
    """Return the token numbers of a text, then the end token if the model has one."""
    numbers = _numbers(text, input, where)
    if input.end is not None:
        numbers = np.append(numbers, input.vocabulary.index(input.end))
    _check_length(len(numbers), input, where)
    return numbers


def _check_length(count: int, input: Input, where: str) -> None:
    if input.max_tokens is not None and count > input.max_tokens:
        most = f"{input.max_tokens} tokens{', the end included' if input.end else ''}"
        raise ValueError(f"{where}: expected at most {most}, got {count}; the model knows no longer sequences")


def _numbers(text: str, input: Input, where: str) -> NDArray[np.int64]:
    known = {token: number for number, token in enumerate(input.vocabulary)}
    words = text.translate({ord(character): " " for character in input.ignored}).split()
    for word in words:
        if word not in known:
            raise ValueError(f"{where}: unknown token {shown(word)}, expected one of {' '.join(known)}")
    if not words:
        raise ValueError(f"{where}: expected tokens, got none")
    return np.array([known[word] for word in words], np.int64)
