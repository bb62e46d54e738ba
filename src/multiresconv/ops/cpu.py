"""temporary"""
from multiresconv.ops.reference import multires_conv_reference as multires_conv_cpu
