"""`init_from`: initialises a model with the weights of a saved one."""

import os
from typing import NamedTuple

import torch

from multiresconv.models.files import load_model
from multiresconv.models.ridge import MultiresRidge
from multiresconv.models.sequence_model import SequenceModel


class Initialised(NamedTuple):
    """Names of the tensors that were taken from the saved model, and of those left as they were."""

    taken: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        left = f"; left as they were: {', '.join(self.left)}" if self.left else ""
        return f"{len(self.taken)} tensors taken{left}"


@torch.no_grad()
def init_from(model: SequenceModel, folder: str | os.PathLike[str]) -> Initialised:
    """Copy the weights of the model in `folder` into `model`. Both need the same network and the same kind of input.

    If both inputs name their channels or tokens, the names must be the same in the same order. The head is copied only
    if both outputs are the same. Standardisations, of inputs and of targets, are never copied, because they belong to
    the data.

    Returns:
        Names of the copied tensors and of the others.

    Raises:
        ValueError: the inputs differ in kind, size or names, the networks in memory, or tensors in name or shape; the
            message says which.
    """
    source = load_model(folder)
    if isinstance(source, MultiresRidge):
        raise ValueError(f"init: {folder}: expected a trained network, got a MultiresRidge, whose filters never learn")
    described = model.input.kind, model.input.size
    if (source.input.kind, source.input.size) != described:
        raise ValueError(
            f"init: {folder}: expected a model whose input is {described[0]} of {described[1]}, "
            f"got {source.input.kind} of {source.input.size}"
        )
    if model.input.named and source.input.named and model.input.names != source.input.names:
        expected, given = (", ".join(m.input.names) for m in (model, source))
        raise ValueError(f"init: {folder}: expected a model whose input is {expected}, got {given}")
    theirs, ours = source.state_dict(), model.state_dict()
    same_head = source.output == model.output and source.head.weight.shape == model.head.weight.shape
    same_head &= source.config.get("season") == model.config.get("season")  # of forecasters: what they start from
    left = [name for name in ours if _of_data(name) or (name.startswith("head.") and not same_head)]
    wanted = [name for name in ours if name not in left]
    for name in wanted:
        if name not in theirs:
            raise ValueError(f"init: {folder}: {name}: expected shape {tuple(ours[name].shape)}, the model has none")
        if theirs[name].shape != ours[name].shape:
            shapes = tuple(ours[name].shape), tuple(theirs[name].shape)
            raise ValueError(f"init: {folder}: {name}: expected shape {shapes[0]}, got {shapes[1]}")
    unknown = [n for n in theirs if n not in ours and not n.startswith("head.") and not _of_data(n)]
    if unknown:
        raise ValueError(f"init: {folder}: {', '.join(unknown)}: this model has no such tensors")
    memory, other = model.net.config["memory"], source.net.config["memory"]
    if memory != other:
        raise ValueError(f"init: {folder}: memory: expected {tuple(memory)}, got {tuple(other)}")
    for name in wanted:
        ours[name].copy_(theirs[name])
    return Initialised(tuple(wanted), tuple(left))


def _of_data(name: str) -> bool:
    """True for the tensors of a standardisation: `net.standardise` and `target_standardise`."""
    return name.rpartition(".")[0].endswith("standardise")
