"""Modules on (B, L, D) sequences: the layer, the block and their building parts."""

from multiresconv.layers.channel_dropout import ChannelDropout
from multiresconv.layers.fusion import why_not_fused
from multiresconv.layers.lengths import check_lengths, refuse_lengths, reverse_steps, valid_steps
from multiresconv.layers.memory import Memory
from multiresconv.layers.multires_block import MultiresBlock
from multiresconv.layers.multires_layer import MultiresLayer
from multiresconv.layers.norm import MaskedBatchNorm, Norm, apply_norm, make_norm, norm_name, set_process_group
from multiresconv.layers.pooling import Pooling, check_pooling, pool, pool_chunk, pooled_before
from multiresconv.layers.sliding_window import SlidingWindow
from multiresconv.layers.standardise import Standardise

__all__ = [
    "ChannelDropout",
    "MaskedBatchNorm",
    "Memory",
    "MultiresBlock",
    "MultiresLayer",
    "Norm",
    "Pooling",
    "SlidingWindow",
    "Standardise",
    "apply_norm",
    "check_lengths",
    "check_pooling",
    "make_norm",
    "norm_name",
    "pool",
    "pool_chunk",
    "pooled_before",
    "refuse_lengths",
    "reverse_steps",
    "set_process_group",
    "valid_steps",
    "why_not_fused",
]
