"""Limits of ListOps trees, and the number of trees that satisfy them."""

from typing import NamedTuple

import numpy as np


class Limits(NamedTuple):
    """Limits of a tree, whose length is its number of tokens without parentheses."""

    min_length: int  # exclusive, at least 0
    max_length: int  # exclusive, at least min_length + 2
    max_depth: int  # the root has depth 1
    max_args: int  # of an operator, at least 2
    operator_probability: float  # of a node above max_depth

    def check(self) -> None:
        """Raise ValueError for the first limit out of range."""
        for name, value, least in (
            ("min_length", self.min_length, 0),
            ("max_length", self.max_length, self.min_length + 2),
            ("max_depth", self.max_depth, 1),
            ("max_args", self.max_args, 2),
        ):
            if value < least:
                reason = " = min_length + 2, as both are exclusive" if name == "max_length" else ""
                raise ValueError(f"{name}: expected at least {least}{reason}, got {value}")


def count_trees(limits: Limits, enough: int) -> int:
    """Return the number of distinct trees that satisfy the limits, or `enough` if there are more.

    Let t_d be the generating function, by length, of the trees whose root has depth d. From the leaves up,
    t_d(z) = 10 z + 4 z^2 (t^2 + ... + t^max_args) with t = t_{d+1}. Every tree counted at depth d + 1 also counts at
    depth d, so counting may stop at `enough`. Coefficients are capped at `enough`, which keeps floating point exact.
    """
    trees = np.zeros(limits.max_length)
    trees[1] = 10
    for _ in range(limits.max_depth - 1):
        if trees[limits.min_length + 1 :].sum() >= enough:
            break
        arguments = trees  # t + ... + t^k for k = 1, 2, ...; more than max_length arguments never fit
        for _ in range(min(limits.max_args, limits.max_length) - 1):
            none_or_some = arguments.copy()
            none_or_some[0] += 1
            arguments = np.minimum(np.convolve(trees, none_or_some)[: limits.max_length], enough)
        grown = np.zeros(limits.max_length)
        grown[2:] = 4 * np.maximum(arguments - trees, 0)[:-2]
        grown[1] += 10
        grown = np.minimum(grown, enough)
        if np.array_equal(grown, trees):
            break
        trees = grown
    return int(min(trees[limits.min_length + 1 :].sum(), enough))
