"""Modules on (B, L, D) sequences: the layer, the block, and what they are made of."""

from multiresconv.layers.channel_dropout import ChannelDropout
from multiresconv.layers.lengths import check_lengths, valid_steps
from multiresconv.layers.multires_block import MultiresBlock, Norm, refuse_lengths
from multiresconv.layers.multires_layer import LayerOptions, Memory, MultiresLayer
from multiresconv.layers.norm import MaskedBatchNorm
from multiresconv.layers.pooling import mean_pool

__all__ = [
    "ChannelDropout",
    "LayerOptions",
    "MaskedBatchNorm",
    "Memory",
    "MultiresBlock",
    "MultiresLayer",
    "Norm",
    "check_lengths",
    "mean_pool",
    "refuse_lengths",
    "valid_steps",
]
