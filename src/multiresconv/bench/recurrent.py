"""PyTorch's GRU and LSTM as layers."""

from typing import Any

import torch
from torch import Tensor, nn


class Recurrent(nn.Module):
    """A GRU or LSTM as a layer (B, L, D) -> (B, L, D)."""

    def __init__(self, cell: nn.GRU | nn.LSTM) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)[0]

    def init_state(self, batch_size: int) -> Any:
        weight = next(self.cell.parameters())
        hidden = weight.new_zeros(1, batch_size, self.cell.hidden_size)
        return (hidden, hidden.clone()) if isinstance(self.cell, nn.LSTM) else hidden

    @torch.no_grad()
    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Take one step: x (B, D) -> y (B, D) and the next state."""
        y, state = self.cell(x[:, None], state)
        return y[:, 0], state
