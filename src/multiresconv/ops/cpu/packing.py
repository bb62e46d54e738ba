"""Which elements of a batch a thread works on, and which of them at once: short ones in packs, one behind the other.

A pack is (channels, steps), the valid steps of its elements side by side, so that a linear map of all of them is one
matrix product and every kernel is called once.
"""

import functools
from typing import NamedTuple

import numpy as np

# Numbers of a pack, beyond which it would leave a core's cache between two kernels. A longer element is its own pack.
PACK = 1 << 16


class Pack(NamedTuple):
    """`elements` of a batch, of which k has the steps offsets[k]..offsets[k + 1] of `steps` in all.

    `longest` is the number of steps of the longest, `start` that of the packs before this one.
    """

    elements: np.ndarray
    offsets: np.ndarray
    steps: int
    longest: int
    start: int


@functools.lru_cache(maxsize=64)  # backward asks for forward's, one block for those of the one before
def packs(lengths: tuple[int, ...], channels: int, threads: int) -> list[list[Pack]]:
    """The packs of elements of so many steps each, as threads take them; last those for all threads together.

    The same for the same number of threads, and with it the order of sums.
    """
    longest_first = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    # Elements that do not go round are shared; of many short ones, one thread takes one more.
    shared = len(lengths) < threads or channels * max(lengths) > PACK
    alone = len(lengths) // threads * threads if shared else len(lengths)
    shares: list[list[int]] = [[] for _ in range(threads)]
    loads = [0] * threads
    for i in longest_first[:alone]:
        least = loads.index(min(loads))
        shares[least].append(i)
        loads[least] += lengths[i]
    start = 0
    divided: list[list[Pack]] = []
    for share in [*filter(None, shares), longest_first[alone:]]:
        divided.append([])
        for elements in _cut(share, lengths, PACK // channels):
            steps = [lengths[i] for i in elements]
            pack = Pack(np.array(elements), np.cumsum([0, *steps]), sum(steps), max(steps), start)
            divided[-1].append(pack)
            start += pack.steps
    return divided


def _cut(share: list[int], lengths: tuple[int, ...], most: int) -> list[list[int]]:
    """Runs of a share of at most `most` steps, or one element."""
    runs: list[list[int]] = []
    room = 0
    for i in share:
        if lengths[i] > room:
            runs.append([])
            room = most
        runs[-1].append(i)
        room -= lengths[i]
    return runs
