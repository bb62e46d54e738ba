"""How often the coefficients of untrained filters exceed thresholds: ROCKET's recipe on the multiresolution tree.

A filter f mixes the channels of a sequence into one row and takes its coefficients a_j and b_j, j = 1..J, as in
`multires_conv`. Each coefficient series c[0..n-1] is compared with T thresholds; with A the steps where c > threshold::

    share of steps above   |A| / n
    share of rises         |{k in A: k = 0 or k-1 not in A}| / n
    late share             sum_{k in A} (k+1) / (n (n+1) / 2)

The second says how often the series crosses the threshold upwards, the third whether it is above early or late. All
three are counts, so that they can be kept after every step at a cost that does not grow with the length, and steps,
chunks and the whole sequence give the same bits. Dempster, Petitjean & Webb 2020 (ROCKET, arXiv 1910.13051)
introduced the first statistic for random convolutions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.ops.cpu.shares import coefficients, pool
from multiresconv.ops.reference import causal_conv

# Names of the statistics, in the order of the axis of `shares`.
STATISTICS = ("above", "rises", "late")


class Bank(NamedTuple):
    """Filters and their thresholds; all arrays are float32 and C-contiguous.

    Attributes:
        mix: (F, C) weights of the channels; row f is the input of filter f.
        h0: (F, K) low-pass taps, K >= 2; the last tap multiplies the current sample.
        h1: (F, K) high-pass taps.
        thresholds: (F, J, 2, T) for a_j (index 0) and b_j (index 1), j = 1..J.
    """

    mix: NDArray[np.float32]
    h0: NDArray[np.float32]
    h1: NDArray[np.float32]
    thresholds: NDArray[np.float32]


def shares(sequences: Sequence[NDArray[np.float32]], bank: Bank) -> NDArray[np.float32]:
    """Return the three shares of each sequence, filter, scale, coefficient series and threshold.

    Args:
        sequences: N arrays (C, L_i), float32, 1 <= L_i.
        bank: the filters and thresholds.

    Returns:
        (N, F, J, 2, 3, T); axis 3 is a_j, b_j, axis 4 as in STATISTICS.

    Raises:
        TypeError: an array is not float32.
        ValueError: shapes that do not fit; no sequence; a sequence without steps.
    """
    check_bank(bank)
    _check_sequences(sequences, bank)
    return pool(sequences, bank)


def shares_reference(
    x: Tensor, mix: Tensor, h0: Tensor, h1: Tensor, thresholds: Tensor, lengths: Tensor | None = None
) -> Tensor:
    """Compute `shares` of whole sequences in plain PyTorch, as the docstring of this file defines them; exportable.

    The kernels sum in another order, so a coefficient within rounding of a threshold may count differently.

    Args:
        x: (B, C, L) floating point.
        mix, h0, h1, thresholds: see `Bank`, in the dtype of x.
        lengths: (B,) valid steps of each sequence, 1..L; None if all are valid.

    Returns:
        (B, F, J, 2, 3, T) in the dtype of x.
    """
    steps = torch.arange(1, x.shape[2] + 1, device=x.device)
    n = (torch.full_like(x[:, 0, 0], x.shape[2]) if lengths is None else lengths.to(x.dtype))[:, None, None]
    valid = (steps <= n)[:, :, None]  # (B, 1, 1, L)
    a, found = mix @ x, []
    for j in range(thresholds.shape[1]):
        b = causal_conv(a, h1, dilation=2**j)
        a = causal_conv(a, h0, dilation=2**j)
        for s, series in enumerate((a, b)):
            above = ((series[:, :, None] > thresholds[:, j, s, :, None]) & valid).to(x.dtype)  # (B, F, T, L)
            rises = above * (1 - F.pad(above, (1, 0))[..., :-1])
            late = (above * steps).sum(-1) / (0.5 * n * (n + 1))
            found.append(torch.stack([above.sum(-1) / n, rises.sum(-1) / n, late], dim=2))
    return torch.stack(found, dim=2).unflatten(2, (-1, 2))


def quantile_thresholds(
    sequences: Sequence[NDArray[np.float32]], mix: NDArray[np.float32], h0: NDArray[np.float32],
    h1: NDArray[np.float32], depth: int, count: int, *, n_samples: int, generator: np.random.Generator,
) -> Bank:  # fmt: skip
    """Return the bank whose thresholds are the quantiles (t + 1/2) / T of the coefficients of some sequences.

    Args:
        sequences: N arrays (C, L_i), float32.
        mix, h0, h1: see `Bank`.
        depth: number of scales J >= 1.
        count: number of thresholds T >= 1.
        n_samples: how many sequences, drawn for each filter without repetition, give the quantiles.
        generator: draws them.
    """
    thresholds = np.zeros((len(mix), depth, 2, count), np.float32)
    bank = Bank(mix, h0, h1, thresholds)
    check_bank(bank)
    _check_sequences(sequences, bank)
    n_samples = min(n_samples, len(sequences))
    for f in range(len(mix)):
        some = [sequences[i] for i in generator.choice(len(sequences), n_samples, replace=False)]
        values = np.sort(coefficients(some, bank, f, depth), axis=2)
        places = (np.arange(count) + 0.5) / count * values.shape[2]
        thresholds[f] = values[:, :, places.astype(int)]
    return bank


class Counts(NamedTuple):
    """What a stream keeps of one sequence: the past of its coefficients, and its counts.

    Attributes:
        lines: ((K-1) * (2^J - 1), F) float32, the delay lines of the scales.
        before: (J, 2, F) float32, the coefficients of the step before.
        totals: (J, 2, 3, T, F) float64, whole numbers: steps above, rises, sum of the numbers of the steps above.
    """

    lines: NDArray[np.float32]
    before: NDArray[np.float32]
    totals: NDArray[np.float64]


def no_counts(bank: Bank) -> Counts:
    """Return the counts of a sequence without steps yet."""
    check_bank(bank)
    filters, depth, _, count = bank.thresholds.shape
    slots = (bank.h0.shape[1] - 1) * (2**depth - 1)
    return Counts(
        np.zeros((slots, filters), np.float32),
        np.full((depth, 2, filters), -np.inf, np.float32),
        np.zeros((depth, 2, 3, count, filters)),
    )


def shares_of(totals: NDArray[np.float64], steps: int) -> NDArray[np.float32]:
    """Return the shares (F, J, 2, 3, T) that the totals of `Counts` are after `steps` steps, the bits of `shares`."""
    n = float(steps)
    return np.ascontiguousarray(
        np.moveaxis(totals / np.array([n, n, 0.5 * n * (n + 1)])[:, None, None], -1, 0), np.float32
    )


def split_over_steps(x: NDArray[np.float32], bank: Bank, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Split weighted sums of the shares of one sequence over its steps, which is exact, since shares are sums.

    A step k of n counts 1/n in the share above a threshold and (k+1) / (n (n+1) / 2) in the late share if it is above
    it, and 1/n in the share of rises if it has risen above it.

    Args:
        x: (C, n) float32.
        bank: the filters and thresholds.
        weights: (k, F, J, 2, 3, T) of k sums.

    Returns:
        (n, k): the sum over the steps is weights . shares of x, up to rounding.
    """
    check_bank(bank)
    _check_sequences([x], bank)
    length, (filters, depth, _, _) = x.shape[1], bank.thresholds.shape
    out = np.zeros((length, len(weights)))
    late = np.arange(1, length + 1) / (0.5 * length * (length + 1))
    for f in range(filters):
        series = coefficients([x], bank, f, depth)
        for j, s in np.ndindex(depth, 2):
            above = series[j, s] > bank.thresholds[f, j, s, :, None]  # (T, n)
            rises = above.copy()
            rises[:, 1:] &= ~above[:, :-1]
            of_above, of_rises, of_late = np.moveaxis(weights[:, f, j, s], 0, 2)  # each (T, k)
            out += above.T @ (of_above / length) + rises.T @ (of_rises / length)
            out += late[:, None] * (above.T @ of_late)
    return out


def check_bank(bank: Bank) -> None:
    """Raise TypeError or ValueError unless the arrays of a bank fit each other."""
    for name, part in bank._asdict().items():
        if not isinstance(part, np.ndarray) or part.dtype != np.float32:
            raise TypeError(f"{name}: expected a float32 array, got {_kind(part)}")
    filters = len(bank.mix) if bank.mix.ndim else 0
    if bank.mix.ndim != 2 or 0 in bank.mix.shape:
        raise ValueError(f"mix: expected shape (filters >= 1, channels >= 1), got {bank.mix.shape}")
    if bank.h0.ndim != 2 or len(bank.h0) != filters or bank.h0.shape[1] < 2:
        raise ValueError(f"h0: expected shape ({filters}, K) with K >= 2, got {bank.h0.shape}")
    if bank.h1.shape != bank.h0.shape:
        raise ValueError(f"h1: expected the shape of h0 {bank.h0.shape}, got {bank.h1.shape}")
    shape = bank.thresholds.shape
    if len(shape) != 4 or shape[0] != filters or shape[2] != 2 or 0 in shape:
        raise ValueError(f"thresholds: expected shape ({filters}, depth >= 1, 2, count >= 1), got {shape}")


def _check_sequences(sequences: Sequence[NDArray[np.float32]], bank: Bank) -> None:
    if not len(sequences):
        raise ValueError("sequences: expected at least one, got none")
    for i, x in enumerate(sequences):
        if not isinstance(x, np.ndarray) or x.dtype != np.float32:
            raise TypeError(f"sequences[{i}]: expected a float32 array, got {_kind(x)}")
        if x.ndim != 2 or x.shape[0] != bank.mix.shape[1] or x.shape[1] < 1:
            raise ValueError(f"sequences[{i}]: expected shape ({bank.mix.shape[1]}, steps >= 1), got {x.shape}")


def _kind(value: object) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
