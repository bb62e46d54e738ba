"""`ChannelDropout`: dropout of whole channels."""

import torch.nn.functional as F
from torch import Tensor, nn


class ChannelDropout(nn.Module):
    """Dropout that zeroes whole channels of a sequence with probability p and scales the others by 1/(1-p).

    (B, L, D) -> (B, L, D); the identity in eval mode. The random mask has shape (B, D), so padding does not change
    the draws.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout: expected a probability, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout1d(x.transpose(1, 2), self.p, self.training).transpose(1, 2)

    def scale(self, x: Tensor) -> Tensor:
        """Return the factors (B, D), 0 or 1/(1-p), that `forward` would apply to x (B, L, D) with the same draws."""
        ones = x.new_ones(x.shape[0], x.shape[2], 1)
        return F.dropout1d(ones, self.p, self.training).squeeze(2)

    def extra_repr(self) -> str:
        return f"p={self.p}"
