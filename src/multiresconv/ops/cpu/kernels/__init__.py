"""The Numba kernels of the CPU backend; no Numba code is elsewhere."""
