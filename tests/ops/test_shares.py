"""Shares of coefficients above thresholds: the kernels, the reference, and the stream."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from profiles import examples

from multiresconv.ops import coefficients
from multiresconv.ops.cpu.shares import Counter
from multiresconv.ops.shares import (
    Bank,
    no_counts,
    quantile_thresholds,
    shares,
    shares_of,
    shares_reference,
    split_over_steps,
)


def normal(generator: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return generator.normal(size=shape).astype(np.float32)


def random_bank(generator: np.random.Generator) -> Bank:
    channels, taps, filters = generator.integers([1, 2, 1], [5, 12, 80])
    depth, count = generator.integers([1, 1], [8, 10])
    h0, h1 = (normal(generator, filters, taps) / np.float32(taps**0.5) for _ in range(2))
    return Bank(normal(generator, filters, channels), h0, h1, normal(generator, filters, depth, 2, count))


def whole_bank(generator: np.random.Generator) -> Bank:
    """A bank of small whole taps with thresholds between whole numbers: float32 rounds nothing."""
    channels, taps, filters = generator.integers([1, 2, 1], [4, 8, 12])
    depth, count = generator.integers([1, 1], [5, 7])
    whole = [generator.integers(-2, 3, (filters, n)).astype(np.float32) for n in (channels, taps, taps)]
    thresholds = generator.integers(-20, 20, (filters, depth, 2, count)).astype(np.float32) + np.float32(0.5)
    return Bank(*whole, thresholds)


def sequences(generator: np.random.Generator, bank: Bank, count: int) -> list[NDArray[np.float32]]:
    return [normal(generator, bank.mix.shape[1], length) for length in generator.integers(1, 700, count)]


def reference(x: NDArray[np.float32], bank: Bank) -> NDArray[np.float64]:
    """The shares of one sequence (C, L) in float64."""
    return shares_reference(*(torch.from_numpy(part).double() for part in (x[None], *bank)))[0].numpy()


def causal_filter(a: NDArray[np.float64], taps: NDArray[np.float64], dilation: int) -> NDArray[np.float64]:
    """Return sum_i taps[K-1-i] * a[n - i*dilation], with zero before the start; a (L,), taps (K,)."""
    out = np.zeros_like(a)
    for i, tap in enumerate(taps[::-1]):
        lag = min(i * dilation, len(a))
        out[lag:] += tap * a[: len(a) - lag]
    return out


seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@examples(25)
@given(seeds)
def test_kernels_equal_the_reference_where_nothing_is_rounded(generator: np.random.Generator) -> None:
    bank = whole_bank(generator)
    some = [generator.integers(-3, 4, (bank.mix.shape[1], n)).astype(np.float32) for n in generator.integers(1, 600, 2)]
    for x, found in zip(some, shares(some, bank), strict=True):
        np.testing.assert_array_equal(found, reference(x, bank).astype(np.float32))


@examples(8)
@given(seeds)
def test_kernels_differ_from_the_reference_by_coefficients_that_are_within_rounding_of_a_threshold(
    generator: np.random.Generator,
) -> None:
    bank = random_bank(generator)
    x = sequences(generator, bank, 1)[0]
    a = (bank.mix.astype(np.float64) @ x.astype(np.float64))[:, None]
    found, expected = shares([x], bank)[0], reference(x, bank)
    for f in range(len(bank.mix)):
        series, size = a[f, 0], np.abs(a[f, 0]).max()
        for j in range(bank.thresholds.shape[1]):
            high = causal_filter(series, bank.h1[f].astype(float), 2**j)
            series = causal_filter(series, bank.h0[f].astype(float), 2**j)
            size *= max(1, np.abs(bank.h0[f]).sum(), np.abs(bank.h1[f]).sum())
            for s, c in enumerate((series, high)):
                close = np.abs(c - bank.thresholds[f, j, s, :, None]) <= 1e-5 * size
                late = (close * np.arange(1, len(c) + 1)).sum(1) / (len(c) * (len(c) + 1) / 2)
                bounds = np.stack([close.mean(1), close.mean(1), late])
                assert (np.abs(found[f, j, s] - expected[f, j, s]) <= bounds + 1e-6).all()


@examples(25)
@given(seeds)
def test_steps_chunks_and_whole_sequences_have_the_same_bits(generator: np.random.Generator) -> None:
    bank = random_bank(generator)
    some = sequences(generator, bank, 2)
    for x, found in zip(some, shares(some, bank), strict=True):
        counter, counts, start = Counter(bank), no_counts(bank), 0
        while start < x.shape[1]:
            stop = start + int(generator.choice([1, 1, 7, 100]))
            counter.advance(x[:, start:stop], start, counts)
            start = min(stop, x.shape[1])
        np.testing.assert_array_equal(shares_of(counts.totals, start), found)


@examples(15)
@given(seeds)
def test_weighted_sums_are_split_over_the_steps(generator: np.random.Generator) -> None:
    bank = random_bank(generator)
    [x] = sequences(generator, bank, 1)
    found = shares([x], bank)[0]
    weights = generator.normal(size=(3, *found.shape))
    split = split_over_steps(x, bank, weights)
    assert split.shape == (x.shape[1], 3)
    np.testing.assert_allclose(split.sum(0), weights.reshape(3, -1) @ found.ravel(), rtol=1e-4, atol=1e-3)
    j, s, t = (int(generator.integers(n)) for n in bank.thresholds.shape[1:])  # one share alone: where it is above
    above = np.zeros((1, *found.shape))
    above[0, 0, j, s, 0, t] = x.shape[1]
    seen = split_over_steps(x, bank, above)[:, 0]
    assert set(np.round(seen, 6)) <= {0.0, 1.0}
    np.testing.assert_allclose(seen.mean(), found[0, j, s, 0, t], rtol=1e-6)


@examples(25)
@given(seeds)
def test_other_sequences_and_threads_change_no_bit(generator: np.random.Generator) -> None:
    bank = random_bank(generator)
    some = sequences(generator, bank, 4)
    together = shares(some, bank)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        np.testing.assert_array_equal(shares(some * 5, bank)[-4:], together)
    finally:
        torch.set_num_threads(threads)
    for x, found in zip(some, together, strict=True):
        np.testing.assert_array_equal(shares([x], bank)[0], found)


def test_padding_changes_no_share_of_the_reference() -> None:
    generator = np.random.default_rng(4)
    bank = whole_bank(generator)
    x = torch.from_numpy(normal(generator, 3, bank.mix.shape[1], 50))
    lengths, parts = torch.tensor([50, 1, 23]), [torch.from_numpy(part) for part in bank]
    found = shares_reference(x, *parts, lengths)
    for row, length, of_row in zip(x, lengths, found, strict=True):
        assert torch.equal(of_row, shares_reference(row[None, :, :length], *parts)[0])


@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 258, 513, 5000])
def test_pieces_of_a_row_fit_together(length: int) -> None:
    generator = np.random.default_rng(length)
    bank = whole_bank(generator)
    x = generator.integers(-3, 4, (bank.mix.shape[1], length)).astype(np.float32)
    np.testing.assert_array_equal(shares([x], bank)[0], reference(x, bank).astype(np.float32))


def test_coefficients_are_those_of_the_operator() -> None:
    generator = np.random.default_rng(0)
    x, low, high = normal(generator, 300), normal(generator, 5), normal(generator, 5)
    taps = [torch.from_numpy(h[None]) for h in (low, high)]
    a, details = coefficients(torch.from_numpy(x[None, None]), *taps, 4)
    row = x.astype(np.float64)
    for j in range(4):
        b = causal_filter(row, high.astype(np.float64), 2**j)
        row = causal_filter(row, low.astype(np.float64), 2**j)
        np.testing.assert_allclose(details[3 - j][0, 0].numpy(), b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(a[0, 0].numpy(), row, rtol=1e-5, atol=1e-5)


def test_shares_by_hand() -> None:
    # a_1 = x, b_1 = the difference of x
    bank = Bank(*(np.array([h], np.float32) for h in ([1], [0, 1], [-1, 1])), np.array([[[[1.5], [0]]]], np.float32))
    x = np.array([[2, 1, 2, 2]], np.float32)
    above = [[3 / 4, 2 / 4, (1 + 3 + 4) / 10], [2 / 4, 2 / 4, (1 + 3) / 10]]
    np.testing.assert_allclose(shares([x], bank)[0, 0, 0, :, :, 0], above, rtol=1e-7)


@examples(25)
@given(seeds, st.integers(1, 9))
def test_thresholds_are_quantiles(generator: np.random.Generator, count: int) -> None:
    bank = random_bank(generator)
    x = normal(generator, bank.mix.shape[1], 400)
    parts = bank.mix, bank.h0, bank.h1
    made = quantile_thresholds([x] * 3, *parts, 3, count, n_samples=2, generator=generator)
    above = shares([x], made)[0, :, :, :, 0]
    expected = 1 - (np.arange(count) + 0.5) / count
    np.testing.assert_allclose(above, np.broadcast_to(expected, above.shape), atol=1.01 / 400)


GOOD = Bank(*(np.ones(shape, np.float32) for shape in ((2, 3), (2, 4), (2, 4), (2, 1, 2, 5))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mix": np.ones((2, 3))}, "mix: expected a float32 array, got an array of float64"),
        ({"mix": [1.0]}, "mix: expected a float32 array, got list"),
        ({"mix": np.ones((2, 0), np.float32)}, r"mix: expected shape \(filters >= 1, channels >= 1\)"),
        ({"h0": np.ones((2, 1), np.float32)}, r"h0: expected shape \(2, K\) with K >= 2, got \(2, 1\)"),
        ({"h1": np.ones((2, 5), np.float32)}, r"h1: expected the shape of h0 \(2, 4\), got \(2, 5\)"),
        ({"thresholds": np.ones((2, 1, 3, 5), np.float32)}, "thresholds: expected shape"),
    ],
)
def test_a_bad_bank_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        shares([np.ones((3, 9), np.float32)], GOOD._replace(**change))


@pytest.mark.parametrize(
    ("some", "message"),
    [
        ([], "sequences: expected at least one, got none"),
        ([np.ones((3, 9))], r"sequences\[0\]: expected a float32 array, got an array of float64"),
        (
            [np.ones((3, 9), np.float32), np.ones((2, 9), np.float32)],
            r"sequences\[1\]: expected shape \(3, steps >= 1\)",
        ),
        ([np.ones((3, 0), np.float32)], r"sequences\[0\]: expected shape"),
    ],
)
def test_bad_sequences_are_refused(some: list[Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        shares(some, GOOD)
