"""All Numba code of the CPU backend."""
