"""What the command line asks of a model; the recipes say what the paper chose for each task."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from multiresconv.layers import Pooling
from multiresconv.models import NetConfig, SequenceModel


@dataclass(frozen=True)
class ModelOptions(NetConfig):
    """The network, and where its weights start from.

    Args:
        init: folder of a saved model of the same kind of input, whose weights a new run starts from.
    """

    init: Path | None = None

    def arguments(self) -> dict[str, Any]:
        """The arguments of the model's constructor."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "init"}


@dataclass(frozen=True)
class PooledModelOptions(ModelOptions):
    """The network, how its features are pooled, and where its weights start from.

    Args:
        pooling: mean over the valid steps, the last of them, or the max over them.
    """

    pooling: Pooling = "mean"


def standardise(model: SequenceModel, mean: Tensor | float, std: Tensor | float) -> None:
    """Let a model of real-valued input take the units of the data, whose mean and standard deviation these are."""
    if model.net.standardise is not None and not model.head.weight.is_meta:
        model.net.standardise.set(mean, std)
