"""The CPU backend: drivers of Numba kernels, threads, packs and buffers."""
