"""`draw_features`: draws the filters of `MultiresFeatures` and takes thresholds and statistics from sequences."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from multiresconv.models.feature_counter import hold_missing
from multiresconv.models.features import MultiresFeatures
from multiresconv.ops import default_depth, wavelet_taps
from multiresconv.ops.shares import quantile_thresholds

# Sequences, drawn for each filter, whose coefficients give the thresholds.
_SAMPLED = 2
# Largest number of channels that a random filter mixes.
_MOST_MIXED = 9


def draw_features(
    sequences: Sequence[NDArray[np.float32]],
    n_filters: int,
    *,
    kernel_size: int | None,
    wavelets: Sequence[str] | None,
    n_thresholds: int,
    generator: np.random.Generator,
    mask_missing: bool = False,
) -> MultiresFeatures:
    """Return features for sequences like these.

    Channels are standardised by the mean and standard deviation of all sequences together. The depth is such that the
    filters reach back half of the longest sequence. If a sequence has missing values, their share is a feature.

    Args:
        sequences: N arrays (C, L_i) float32, NaN where a value is missing.
        n_filters: number of filters F; with wavelets and one channel, at most one for each wavelet.
        kernel_size: K >= 2, taps of random filters; None with wavelets.
        wavelets: names of wavelets whose taps are used in turn instead of random ones, or None.
        n_thresholds: thresholds of each coefficient series.
        generator: draws filters, mixes of channels, and the sequences that give the thresholds.
        mask_missing: give the share of missing values as a feature even if no sequence has any.
    """
    values = np.concatenate(sequences, axis=1, dtype=np.float64)
    missing = np.isnan(values)
    channels = len(values)
    if missing.all():
        raise ValueError("X: expected values, all of them are missing")
    count = np.maximum((~missing).sum(1), 1)
    mean = np.where(missing, 0, values).sum(1) / count
    std = np.sqrt((np.where(missing, 0, values - mean[:, None]) ** 2).sum(1) / count)
    mean, std = mean.astype(np.float32), np.where(std > 0, std, 1).astype(np.float32)
    if wavelets is None:
        assert kernel_size is not None  # the caller has checked it
        h0, h1 = random_taps(n_filters, kernel_size, generator)
    else:
        h0, h1 = wavelet_bank(wavelets, n_filters if channels > 1 else min(n_filters, len(wavelets)))
    mix = random_mixes(len(h0), channels, generator)
    depth = default_depth(-(-max(x.shape[1] for x in sequences) // 2), h0.shape[1])
    zero = np.zeros(channels, np.float32)
    filled = [hold_missing((x - mean[:, None]) / std[:, None], zero) for x in sequences]
    bank = quantile_thresholds(
        filled, mix, h0, h1, depth, n_thresholds, n_samples=_SAMPLED, generator=generator
    )  # fmt: skip
    features = MultiresFeatures(
        channels,
        len(h0),
        kernel_size=h0.shape[1],
        depth=depth,
        n_thresholds=n_thresholds,
        mask_missing=mask_missing or bool(missing.any()),
        device="cpu",
        dtype=torch.float32,
    )
    for name, part in bank._asdict().items():
        getattr(features, name).copy_(torch.from_numpy(part))
    features.standardise.set(torch.from_numpy(mean), torch.from_numpy(std))
    return features.eval()


def random_taps(
    n_filters: int, kernel_size: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return h0 and h1 (F, K) with normal taps of norm 1; the taps of h1 sum to zero, so that it ignores the level."""
    low, high = generator.normal(size=(2, n_filters, kernel_size))
    high -= high.mean(1, keepdims=True)
    low, high = (h / np.linalg.norm(h, axis=1, keepdims=True) for h in (low, high))
    return low.astype(np.float32), high.astype(np.float32)


def wavelet_bank(names: Sequence[str], n_filters: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return h0 and h1 (F, K) of the wavelets in turn; shorter ones have zeros as their oldest taps."""
    pairs = [tuple(h.numpy().astype(np.float32) for h in wavelet_taps(name)) for name in names]
    longest = max(len(pair[0]) for pair in pairs)
    padded = [[np.pad(h, (longest - len(h), 0)) for h in pair] for pair in pairs]
    low, high = (np.stack([padded[f % len(names)][part] for f in range(n_filters)]) for part in (0, 1))
    return low, high


def random_mixes(n_filters: int, channels: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return weights (F, C) of norm 1: normal for a random subset of the channels, rather a small one; else 0."""
    mixes = np.zeros((n_filters, channels), np.float32)
    if channels == 1:
        mixes[:] = 1
        return mixes
    for mix in mixes:
        size = int(2 ** generator.uniform(0, np.log2(min(channels, _MOST_MIXED) + 1)))
        weights = generator.normal(size=size)
        mix[generator.choice(channels, size, replace=False)] = weights / np.linalg.norm(weights)
    return mixes
