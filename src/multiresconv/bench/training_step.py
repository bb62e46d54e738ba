"""What a training step of a single layer is."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def training_step(layer: nn.Module, x: Tensor, grad_y: Tensor) -> Callable[[], None]:
    """Forward, backward to the parameters and to x, as in the middle of a network, and a step of AdamW, fused.

    Args:
        layer: (B, L, D) -> (B, L, D).
        x: (B, L, D).
        grad_y: the gradient of the output, (B, L, D).
    """
    x = x.detach().requires_grad_()
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        layer(x).backward(grad_y)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        x.grad = None

    return step
