"""Pure functions on tensors: the operator, its backends, streaming, analysis, tree arithmetic, wavelet taps."""

from multiresconv.ops.analysis import (
    coefficients,
    effective_receptive_field,
    frequency_response,
    impulse_response,
    scale_energies,
)
from multiresconv.ops.conv import Backend, multires_conv
from multiresconv.ops.streaming import State, multires_conv_chunk, multires_conv_init, multires_conv_step
from multiresconv.ops.tree import default_depth, fading, receptive_field, uniform, weight_size
from multiresconv.ops.wavelets import wavelet_taps

__all__ = [
    "Backend",
    "State",
    "coefficients",
    "default_depth",
    "effective_receptive_field",
    "fading",
    "frequency_response",
    "impulse_response",
    "multires_conv",
    "multires_conv_chunk",
    "multires_conv_init",
    "multires_conv_step",
    "receptive_field",
    "scale_energies",
    "uniform",
    "wavelet_taps",
    "weight_size",
]
