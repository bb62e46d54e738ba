"""Command-line options of the models; the recipes hold the paper's choices for each task."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multiresconv.layers import Pooling
from multiresconv.models import MultiresNet, NetConfig, SequenceModel


@dataclass(frozen=True)
class ModelOptions(NetConfig):
    """Options of the network and of its initial weights.

    Args:
        init: folder of a saved model with the same kind of input, or hub:owner/name; a new run starts from its
            weights.
    """

    init: Path | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the model's constructor."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "init"}

    def check(self) -> None:
        """Raise ValueError if no network can have these options, whatever the data; allocates nothing."""
        options = {field.name: getattr(self, field.name) for field in fields(NetConfig)}
        if options["d_model"] is None:  # the data decide the width
            options["d_model"] = 1
        if self.depth is None and self.max_length is None and not isinstance(self.memory, tuple):
            options |= {"depth": 1, "memory": "fading"}  # the data decide the depth
        with torch.device("meta"):
            MultiresNet(d_input=1, **{**options, "n_layers": 1})


@dataclass(frozen=True)
class PooledModelOptions(ModelOptions):
    """Options of the network, its pooling and its initial weights.

    Args:
        pooling: mean over the valid steps, the last valid step, or the maximum over the valid steps.
    """

    pooling: Pooling = "mean"


def standardise(model: SequenceModel, mean: Tensor | float, std: Tensor | float) -> None:
    """Store the mean and standard deviation of the data in a model of real-valued input, so that it takes raw units."""
    if model.net.standardise is not None and not model.head.weight.is_meta:
        model.net.standardise.set(mean, std)
