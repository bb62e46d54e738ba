"""Stop a run whose loss or weights are not finite, before the weights are saved."""

import torch
from torch import nn

NO_VALUE = "val: {} has no value on the validation rows; validate on more, or on others (--data.split_seed of own data)"


class NonFiniteError(ValueError):
    """A loss or a weight is NaN or infinite. The saved checkpoints are from before."""


def check_finite(network: nn.Module, step: int, last: str) -> None:
    """Raise NonFiniteError if a weight, or a statistic of a norm, is not finite after `step`.

    `last` names the last checkpoint in the message.
    """
    tensors = network.state_dict().values()
    if not all(torch.isfinite(tensor).all() for tensor in tensors if tensor.is_floating_point()):
        raise NonFiniteError(
            f"a weight is not finite after step {step}; {last} is from before; try a smaller --optimizer.lr"
        )
