"""Depth, reach and memory of the tree."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiresconv import fading, uniform
from multiresconv.ops import default_depth, receptive_field, weight_size


@given(st.integers(1, 2**40), st.integers(2, 40))
def test_default_depth_is_the_smallest_that_covers(length: int, kernel_size: int) -> None:
    depth = default_depth(length, kernel_size)
    assert receptive_field(depth, kernel_size) >= length
    assert depth == 1 or receptive_field(depth - 1, kernel_size) < length


@pytest.mark.parametrize(("length", "kernel_size"), [(1024, 2), (2048, 4), (1000, 2), (16384, 4), (784, 5)])
def test_default_depth_is_the_papers_formula(length: int, kernel_size: int) -> None:
    assert default_depth(length, kernel_size) == math.ceil(math.log2((length - 1) / (kernel_size - 1) + 1))


def test_depths_of_the_papers_recipes() -> None:
    assert default_depth(1024, 2) == default_depth(2048, 4) == default_depth(1000, 2) == 10
    assert default_depth(1024, 4) == 9


@given(st.integers(1, 12), st.integers(2, 9), st.data())
def test_uniform_takes_from_coarse_to_fine(depth: int, kernel_size: int, data: st.DataObject) -> None:
    walk = [1]
    while len(walk) < depth:
        walk.append(2 * (walk[-1] - 1) + kernel_size)
    size = data.draw(st.integers(1, 1 + sum(walk)))
    memory = uniform(depth, kernel_size, size)
    assert len(memory) == depth
    assert weight_size(memory) == size + 1
    taken = [m for m in memory if m]
    assert memory[len(taken) :] == (0,) * (depth - len(taken))
    assert taken[:-1] == walk[: max(len(taken) - 1, 0)]
    assert not taken or taken[-1] <= walk[len(taken) - 1]
    with pytest.raises(ValueError, match=f"size: .* have {1 + sum(walk)} coefficients, got {2 + sum(walk)}"):
        uniform(depth, kernel_size, 2 + sum(walk))


def test_uniform_by_hand() -> None:
    assert uniform(6, 4, 30) == (1, 4, 10, 14, 0, 0)
    assert uniform(6, 2, 64) == (1, 2, 4, 8, 16, 32)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fading(0), "depth: expected at least 1, got 0"),
        (lambda: uniform(0, 2, 5), "depth: expected at least 1, got 0"),
        (lambda: uniform(3, 1, 5), "kernel_size: expected at least 2, got 1"),
        (lambda: uniform(3, 2, 0), "size: expected at least 1"),
        (lambda: default_depth(0, 2), "length: expected at least 1, got 0"),
        (lambda: receptive_field(3, 1), "kernel_size: expected at least 2, got 1"),
    ],
)
def test_bad_numbers_are_named(call, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
