"""The CPU backend: drivers of the Numba kernels, threads, packs and buffers."""
