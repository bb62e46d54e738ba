"""`Memory`: how many coefficients of each scale a layer keeps, in the forms that a user may write."""

from collections.abc import Sequence
from operator import index
from typing import Literal

import numpy as np

from multiresconv.ops import default_depth, fading, uniform

Memory = Literal["fading"] | int | Sequence[int]


def counts_of(memory: Memory, kernel_size: int, depth: int | None, max_length: int | None) -> tuple[int, ...]:
    """Return the counts (m_J, ..., m_1) that these options of a `MultiresLayer` define.

    Raises:
        ValueError: an option is missing, out of range, or contradicts another.
    """
    if depth is not None and max_length is not None:
        raise ValueError(f"depth, max_length: give one of them, got {depth} and {max_length}")
    if max_length is not None and max_length < 1:
        raise ValueError(f"max_length: expected at least 1, got {max_length}")
    wanted = default_depth(index(max_length), kernel_size) if max_length is not None else depth
    if isinstance(memory, str) and memory != "fading":
        raise ValueError(f"memory: expected 'fading', a size or counts (m_J, ..., m_1), got {memory!r}")
    if isinstance(memory, (str, int, np.integer)):
        if wanted is None:
            raise ValueError(f"depth, max_length: one of them is needed with memory {memory!r}")
        return fading(index(wanted)) if isinstance(memory, str) else uniform(index(wanted), kernel_size, int(memory))
    counts = tuple(index(kept) for kept in memory)
    if not counts or min(counts) < 0:
        raise ValueError(f"memory: expected (m_J, ..., m_1), at least one scale, none negative, got {counts}")
    if wanted not in (None, len(counts)):
        said = f"depth {depth}" if max_length is None else f"max_length {max_length}, so depth {wanted},"
        raise ValueError(f"memory: {said} contradicts the {len(counts)} scales of {counts}")
    return counts
