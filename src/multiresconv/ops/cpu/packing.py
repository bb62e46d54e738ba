"""Division of a batch among threads, and of each thread's elements into packs.

A pack is (channels, steps): the valid steps of its elements, concatenated. A linear map of a whole pack is one matrix
product, and every kernel is called once per pack.
"""

import functools
from typing import NamedTuple

import numpy as np

# Largest size of a pack in numbers, so that it stays in a core's cache between two kernels. A longer element is a pack
# by itself.
PACK = 1 << 16


class Pack(NamedTuple):
    """Elements of a batch that are computed together.

    Attributes:
        elements: (n,) indices of the elements in the batch.
        offsets: (n + 1,) element k has the columns offsets[k]..offsets[k + 1] of the pack.
        steps: total number of steps.
        longest: number of steps of the longest element.
        start: total number of steps of all packs before this one.
    """

    elements: np.ndarray
    offsets: np.ndarray
    steps: int
    longest: int
    start: int


@functools.lru_cache(maxsize=64)  # backward and the next block ask for the same packs
def packs(lengths: tuple[int, ...], channels: int, threads: int) -> list[list[Pack]]:
    """Return one list of packs for each thread, then a list of packs that all threads work on together.

    `lengths` are the numbers of steps of the elements. The result depends on the arguments alone, and so does the order
    of sums.
    """
    longest_first = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    # Long elements are spread evenly and all threads share the remainder. Short ones each go to one thread.
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
    """Cut a thread's elements into runs of at most `most` steps; a longer element is a run by itself."""
    runs: list[list[int]] = []
    room = 0
    for i in share:
        if lengths[i] > room:
            runs.append([])
            room = most
        runs[-1].append(i)
        room -= lengths[i]
    return runs
