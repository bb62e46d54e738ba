"""`ChannelDropout`: dropout of whole channels."""

import torch.nn.functional as F
from torch import Tensor, nn


class ChannelDropout(nn.Module):
    """Zeroes each channel of each sequence with probability p for all time and scales the rest by 1/(1-p).

    (B, L, D) -> (B, L, D); the identity in eval mode. What is dropped depends on B and D alone, so that padding
    changes nothing.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout: expected a probability, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout1d(x.transpose(1, 2), self.p, self.training).transpose(1, 2)

    def scale(self, x: Tensor) -> Tensor:
        """What `forward` would multiply the channels of x (B, L, D) with: (B, D), 0 or 1/(1-p), from the same draws."""
        ones = x.new_ones(x.shape[0], x.shape[2], 1)
        return F.dropout1d(ones, self.p, self.training).squeeze(2)

    def extra_repr(self) -> str:
        return f"p={self.p}"
