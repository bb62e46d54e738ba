"""The GPU backend: Triton kernels and what launches them."""
