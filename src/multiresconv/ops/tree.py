"""Arithmetic of the multiresolution tree: which coefficients a memory keeps, how deep and how far it reaches.

A memory is one tuple, coarsest scale first, `memory = (m_J, ..., m_1)`: of the wavelet coefficients b_j it keeps
the `m_j` newest, 2^j steps apart, and always the newest scaling coefficient a_J. The paper (Shi, Wang & Fox 2023) calls
the choice *TreeSelect*.
"""

from collections.abc import Sequence
from operator import index


def default_depth(length: int, kernel_size: int) -> int:
    """Smallest depth J >= 1 whose receptive field covers `length` steps: ceil(log2((length-1)/(kernel_size-1) + 1)).

    In integers, since a logarithm in floating point is off by one at some powers of two.
    """
    _check(length >= 1, f"length: expected at least 1, got {length}")
    _check_kernel_size(kernel_size)
    depth = 1
    while receptive_field(depth, kernel_size) < length:
        depth += 1
    return depth


def receptive_field(depth: int, kernel_size: int) -> int:
    """Number of newest steps, the current one included, that a_J depends on: (K-1)(2^J - 1) + 1."""
    _check_kernel_size(kernel_size)
    return (kernel_size - 1) * (2**depth - 1) + 1


def fading(depth: int) -> tuple[int, ...]:
    """Memory whose resolution fades with time: the newest coefficient of each scale (the paper's default)."""
    _check(depth >= 1, f"depth: expected at least 1, got {depth}")
    return (1,) * depth


def uniform(depth: int, kernel_size: int, size: int) -> tuple[int, ...]:
    """Memory of `size` coefficients that resolves the whole past alike.

    Walks from the coarsest scale to the finest taking 1, K, 3K-2, ... coefficients (next = 2(previous-1) + K) until
    the total, a_J included, is `size`; the last scale taken from is cut and finer ones get 0.

    Raises:
        ValueError: depth < 1, kernel_size < 2, size < 1, or size larger than a walk down to the finest scale takes.
    """
    _check(depth >= 1, f"depth: expected at least 1, got {depth}")
    _check_kernel_size(kernel_size)
    _check(size >= 1, f"size: expected at least 1 (a_J alone), got {size}")
    left, take, memory = index(size) - 1, 1, []
    for _ in range(depth):
        memory.append(min(take, left))
        left -= memory[-1]
        take = 2 * (take - 1) + kernel_size
    _check(left == 0, f"size: depth {depth} and kernel_size {kernel_size} have {size - left} coefficients, got {size}")
    return tuple(memory)


def weight_size(memory: Sequence[int]) -> int:
    """Width of `w`, `1 + sum(memory) + 1`: [w_a | w_J,0.. | ... | w_1,0.. | w_x]."""
    return sum(memory) + 2


def _check_kernel_size(kernel_size: int) -> None:
    _check(kernel_size >= 2, f"kernel_size: expected at least 2, got {kernel_size}")


def _check(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)
