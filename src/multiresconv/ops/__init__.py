"""Pure functions on tensors: the operator, its backends, tree arithmetic and wavelet taps."""

from multiresconv.ops.conv import Backend, multires_conv
from multiresconv.ops.tree import default_depth, fading, receptive_field, uniform, weight_size
from multiresconv.ops.wavelets import wavelet_taps

__all__ = [
    "Backend",
    "default_depth",
    "fading",
    "multires_conv",
    "receptive_field",
    "uniform",
    "wavelet_taps",
    "weight_size",
]
