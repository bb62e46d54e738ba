"""`WholeSequences`: a model with float32 and int32 inputs, for whole sequences."""

import torch
from torch import Tensor, nn

from multiresconv.models import MultiresAR
from multiresconv.models.sequence_model import SequenceModel


class WholeSequences(nn.Module):
    """x and lengths (B,) int32 -> the outputs of a model.

    x is (B, L, d_input) float32, or int32 for tokens (B, L) and for the pixels (B, L, C) of a density model.
    """

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = x.to(torch.uint8) if isinstance(self.model, MultiresAR) else x
        return self.model(x, lengths.long())

    def example(self) -> tuple[Tensor, Tensor]:
        """Return inputs that fit."""
        return example_input(self.model, isinstance(self.model, MultiresAR)), torch.tensor([3, 2], dtype=torch.int32)


def example_input(model: SequenceModel, whole_numbers: bool = False, length: int = 3) -> Tensor:
    """Return zeros (2, length, d_input), or tokens (2, length)."""
    if model.takes_tokens:
        return torch.zeros(2, length, dtype=torch.int32)
    return torch.zeros(2, length, model.input.size, dtype=torch.int32 if whole_numbers else torch.float32)
