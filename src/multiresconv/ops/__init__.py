"""Pure functions on tensors: the operator, its backends, streaming, tree arithmetic and wavelet taps."""

from multiresconv.ops.conv import Backend, multires_conv
from multiresconv.ops.streaming import State, multires_conv_chunk, multires_conv_init, multires_conv_step
from multiresconv.ops.tree import default_depth, fading, receptive_field, uniform, weight_size
from multiresconv.ops.wavelets import wavelet_taps

__all__ = [
    "Backend",
    "State",
    "default_depth",
    "fading",
    "multires_conv",
    "multires_conv_chunk",
    "multires_conv_init",
    "multires_conv_step",
    "receptive_field",
    "uniform",
    "wavelet_taps",
    "weight_size",
]
