"""`MultiresBlock`: the residual block that networks are stacked from."""

from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiresconv.layers.channel_dropout import ChannelDropout
from multiresconv.layers.multires_layer import LayerOptions, MultiresLayer
from multiresconv.layers.norm import MaskedBatchNorm

Norm = Literal["layer", "batch"]


class MultiresBlock(nn.Module):
    """conv -> GELU -> channel dropout -> linear D to 2D -> GLU -> channel dropout [-> linear D to D] -> + input -> norm.

    (B, L, d_model) -> (B, L, d_model). Causal but for what batch norm shares between steps while it trains.

    Args:
        d_model: number of channels D.
        dropout: probability with which a channel is dropped, in both places.
        norm: "layer", over the channels of a step, or "batch", over all valid steps of a batch.
        projection: whether there is the linear map D to D in brackets, which the paper's density networks have.
        **layer: the options of `MultiresLayer`.
    """

    def __init__(
        self,
        d_model: int,
        *,
        dropout: float = 0.0,
        norm: Norm = "layer",
        projection: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **layer: Unpack[LayerOptions],
    ) -> None:
        super().__init__()
        if norm not in ("layer", "batch"):
            raise ValueError(f"norm: expected 'layer' or 'batch', got {norm!r}")
        self.conv = MultiresLayer(d_model, device=device, dtype=dtype, **layer)
        self.mix = nn.Linear(d_model, 2 * d_model, device=device, dtype=dtype)
        self.dropout = ChannelDropout(dropout)
        self.projection = nn.Linear(d_model, d_model, device=device, dtype=dtype) if projection else None
        norm_type = nn.LayerNorm if norm == "layer" else MaskedBatchNorm
        self.norm = norm_type(d_model, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        self.conv.reset_parameters()
        self.mix.reset_parameters()
        if self.projection is not None:
            self.projection.reset_parameters()
        self.norm.reset_parameters()

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """x (B, L, d_model), lengths (B,) integers in 1..L or None for all -> (B, L, d_model)."""
        y = self.dropout(F.gelu(self.conv(x)))
        y = self.dropout(F.glu(self.mix(y)))
        if self.projection is not None:
            y = self.projection(y)
        y = x + y
        return self.norm(y, lengths) if isinstance(self.norm, MaskedBatchNorm) else self.norm(y)
