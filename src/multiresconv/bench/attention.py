"""Causal multi-head attention: PyTorch's fused kernel between two linear maps."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_HEAD = 64  # channels of a head


class Cache(NamedTuple):
    """Ring buffers of keys and values (B, heads, L, channels of a head) of the last L steps, and the step count."""

    keys: Tensor
    values: Tensor
    position: int


class CausalAttention(nn.Module):
    """(B, L, D) -> (B, L, D), without positional encoding, which would cost a little more.

    Args:
        d_model: number of channels, split into heads of 64, or one head if it is no multiple of 64.
        length: number of last steps that a streaming step attends to.
    """

    def __init__(self, d_model: int, length: int) -> None:
        super().__init__()
        self.heads = d_model // _HEAD if d_model % _HEAD == 0 else 1
        self.length = length
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._split(x)
        return self._join(F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def init_state(self, batch_size: int) -> Cache:
        weight = self.out.weight
        shape = batch_size, self.heads, self.length, weight.shape[0] // self.heads
        return Cache(weight.new_zeros(shape), weight.new_zeros(shape), 0)

    @torch.no_grad()
    def prefill(self, x: Tensor) -> Cache:
        """Return the state after the L steps of x (B, L, D)."""
        _, keys, values = self._split(x)
        return Cache(keys.contiguous(), values.contiguous(), self.length)

    @torch.no_grad()
    def step(self, x: Tensor, state: Cache) -> tuple[Tensor, Cache]:
        """Take one step: x (B, D) -> y (B, D) and the next state, which overwrites the given one."""
        keys, values, position = state
        q, k, v = self._split(x[:, None])
        # The order in the ring does not matter: attention sums over all steps.
        keys[:, :, position % self.length], values[:, :, position % self.length] = k[:, :, 0], v[:, :, 0]
        seen = min(position + 1, self.length)
        y = F.scaled_dot_product_attention(q, keys[:, :, :seen], values[:, :, :seen])
        return self._join(y)[:, 0], Cache(keys, values, position + 1)

    def _split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return queries, keys and values (B, heads, L, channels of a head) of x (B, L, D)."""
        return self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()

    def _join(self, y: Tensor) -> Tensor:
        return self.out(y.transpose(1, 2).flatten(2))
