"""The training step of a single layer that is timed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def training_step(layer: nn.Module, x: Tensor, grad_y: Tensor) -> Callable[[], None]:
    """Return a function that takes a step: forward, backward to the parameters and x, and fused AdamW.

    The gradient goes to x too, as for a layer in the middle of a network.

    Args:
        layer: layer (B, L, D) -> (B, L, D).
        x: input (B, L, D).
        grad_y: gradient of the output, (B, L, D).
    """
    x = x.detach().requires_grad_()
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        layer(x).backward(grad_y)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        x.grad = None

    return step
