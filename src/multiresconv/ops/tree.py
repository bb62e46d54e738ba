"""Arithmetic of the multiresolution tree: the coefficients that a memory keeps, its depth and its receptive field.

A memory is one tuple, coarsest scale first: `memory = (m_J, ..., m_1)`. It keeps the `m_j` newest wavelet coefficients
b_j, 2^j steps apart, and always the newest scaling coefficient a_J. The paper (Shi, Wang & Fox 2023) calls this
selection *TreeSelect*.
"""

from collections.abc import Sequence
from operator import index


def default_depth(length: int, kernel_size: int) -> int:
    """Return the smallest depth J >= 1 whose receptive field covers `length` steps.

    This is ceil(log2((length-1)/(kernel_size-1) + 1)), computed in integers because a floating-point logarithm is off
    by one at some powers of two.
    """
    _check(length >= 1, f"length: expected at least 1, got {length}")
    _check_kernel_size(kernel_size)
    depth = 1
    while receptive_field(depth, kernel_size) < length:
        depth += 1
    return depth


def receptive_field(depth: int, kernel_size: int) -> int:
    """Return how many of the newest steps a_J depends on, including the current one: (K-1)(2^J - 1) + 1."""
    _check_kernel_size(kernel_size)
    return (kernel_size - 1) * (2**depth - 1) + 1


def reach(kernel_size: int, memory: Sequence[int]) -> int:
    """Return how many earlier steps an output depends on: the largest over a_J and all kept coefficients b_j."""
    steps = [receptive_field(len(memory), kernel_size) - 1]
    for scale, kept in enumerate(reversed(memory), start=1):
        if kept:
            steps.append((kept - 1) * 2**scale + receptive_field(scale, kernel_size) - 1)
    return max(steps)


def fading(depth: int) -> tuple[int, ...]:
    """Return a memory whose resolution fades with time: the newest coefficient of each scale (the paper's default)."""
    _check(depth >= 1, f"depth: expected at least 1, got {depth}")
    return (1,) * depth


def uniform(depth: int, kernel_size: int, size: int) -> tuple[int, ...]:
    """Return a memory of `size` coefficients that resolves the whole past uniformly.

    It takes 1, K, 3K-2, ... coefficients (next = 2(previous-1) + K) from the coarsest scale to the finest until the
    total, including a_J, is `size`. The last of these scales may get fewer; finer scales get 0.

    Raises:
        ValueError: depth < 1, kernel_size < 2, size < 1, or size larger than the coefficients of all scales.
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
    """Return the width of `w`, `1 + sum(memory) + 1`: [w_a | w_J,0.. | ... | w_1,0.. | w_x]."""
    return sum(memory) + 2


def _check_kernel_size(kernel_size: int) -> None:
    _check(kernel_size >= 2, f"kernel_size: expected at least 2, got {kernel_size}")


def _check(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)
