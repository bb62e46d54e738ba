"""Batches of ragged sequences, grouped by similar length."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import Sampler


class Batch(NamedTuple):
    """Sequences padded with 0 to the longest of them, or slightly further; see `padded_length`."""

    tokens: Tensor  # (B, L) int64
    lengths: Tensor  # (B,) int64
    labels: Tensor  # (B,) int64


def collate(items: Sequence[tuple[NDArray, int]]) -> Batch:
    """Make a batch of B >= 1 pairs (tokens (n,), label), whose lengths n may differ."""
    lengths = torch.tensor([len(tokens) for tokens, _ in items], device="cpu")
    padded = np.zeros((len(items), padded_length(int(lengths.max()))), np.int64)
    for row, (tokens, _) in zip(padded, items, strict=True):
        row[: len(tokens)] = tokens
    return Batch(torch.from_numpy(padded), lengths, torch.tensor([label for _, label in items], device="cpu"))


def padded_length(longest: int) -> int:
    """Round a length up to one of 16 steps per octave: exact up to 32, then at most 1/16 more, 3 % on average.

    Batches thus come in few sizes, so that the allocator can reuse freed blocks. If every batch had a size of its own,
    the memory of a long training would grow severalfold.
    """
    step = 1 << max(longest.bit_length() - 5, 0)
    return -(-longest // step) * step


class Batches(Sampler[list[int]]):
    """Base class of the batch samplers: it distributes the batches of an epoch over the ranks.

    Every rank computes all batches and takes rows rank, rank + world_size, ... of each. The union over the ranks is
    therefore the same for any number of ranks.

    Attributes:
        epoch: chooses the permutation; the caller sets it before every epoch.
        start: number of batches to skip at the beginning of the epoch; a caller that resumes sets it, and later resets
            it to 0.
    """

    def __init__(self, lengths: ArrayLike, *, seed: int, rank: int, world_size: int) -> None:
        self.lengths = np.asarray(lengths)
        if self.lengths.ndim != 1 or not len(self.lengths):
            raise ValueError(f"lengths: expected shape (rows,) with rows >= 1, got {self.lengths.shape}")
        if world_size < 1 or not 0 <= rank < world_size:
            raise ValueError(f"rank: expected 0 <= rank < world_size, got rank {rank} and world_size {world_size}")
        if seed < 0:
            raise ValueError(f"seed: expected at least 0, got {seed}")
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.start = 0

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of batches of this rank in a full epoch, the same in every epoch; `start` is ignored."""

    @abstractmethod
    def batches(self) -> list[NDArray[np.int64]]:
        """Return the rows of each batch of this epoch, over all ranks together."""

    def __iter__(self) -> Iterator[list[int]]:
        if self.start < 0:
            raise ValueError(f"start: expected at least 0, got {self.start}")
        for batch in self.batches()[self.start : len(self)]:
            yield batch[self.rank :: self.world_size].tolist()


class LengthBuckets(Batches):
    """Batch sampler that groups sequences of similar length, in batches of at most `batch_size` rows.

    With `shuffle`, for training: a permutation drawn from (seed, epoch) is cut into pools of `pool` batches. Each pool
    is sorted by length and cut into batches, and the batches come in random order. Every row comes once per epoch: if
    the rows are no multiple of batch_size, as few batches as hold them have equally many, up to one. Only where a batch
    has one row per rank, the rest of the permutation is dropped; it differs from epoch to epoch.

    Without `shuffle`, for evaluation: every row comes once, sorted by length. The last batch may be smaller, so a rank
    may get fewer rows, or even one batch fewer, than another.

    Args:
        lengths: (rows,) lengths of the sequences.
        batch_size: most rows of a batch over all ranks together, a multiple of world_size.
        seed: seed of the permutations, at least 0.
        shuffle: see above.
        pool: batches that are sorted together. 50 keeps padding small and still mixes the rows anew every epoch.
            1 makes plain random batches, whose statistics (for batch norm) do not depend on the length.
        rank, world_size: of this process, 0 <= rank < world_size.

    Raises:
        ValueError: an argument out of range, or shuffled with fewer rows than ranks.
    """

    def __init__(
        self,
        lengths: ArrayLike,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        pool: int = 50,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(lengths, seed=seed, rank=rank, world_size=world_size)
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(f"batch_size: expected a multiple of world_size {world_size}, got {batch_size}")
        if shuffle and len(self.lengths) < world_size:
            raise ValueError(f"lengths: expected a row for each of {world_size} processes, got {len(self.lengths)}")
        if pool < 1:
            raise ValueError(f"pool: expected at least 1, got {pool}")
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.pool = pool

    def __len__(self) -> int:
        full, rest = divmod(len(self.lengths), self.batch_size)
        if self.shuffle:  # batches of equal size have over half of batch_size, a row for each of half as many ranks
            return full + (rest > 0 and self.batch_size > self.world_size)
        return full + (rest > self.rank)

    def batches(self) -> list[NDArray[np.int64]]:
        if not self.shuffle:
            return self._sorted(np.arange(len(self.lengths)))
        random = np.random.default_rng((self.seed, self.epoch))
        rows = random.permutation(len(self.lengths))[: len(self) * self.batch_size]
        ends = np.cumsum([len(part) for part in np.array_split(rows, len(self))])
        batches = []
        for pool in np.split(rows, ends[self.pool - 1 : -1 : self.pool]):
            count = min(self.pool, len(self) - len(batches))
            batches += np.array_split(pool[np.argsort(self.lengths[pool], kind="stable")], count)
        return [batches[i] for i in random.permutation(len(batches))]

    def _sorted(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        rows = rows[np.argsort(self.lengths[rows], kind="stable")]
        return [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]


class TokenBuckets(Batches):
    """Batch sampler for training whose batches have about the same number of time steps: many short rows or few long.

    A permutation drawn from (seed, epoch) is sorted by padded length, longest first, and cut into batches of as many
    rows as fit. The batches come in random order, and rows of equal padded length mix anew every epoch. Batch sizes
    follow from the lengths alone, so every epoch has the same number of batches. Every row comes once per epoch.

    Args:
        lengths: (rows,) of the sequences.
        batch_tokens: largest rows * `padded_length` of a batch, over all ranks together. The longest row must fit
            2 * world_size - 1 times, so that every rank gets at least one row of every batch.
        seed: seed of the permutations, at least 0.
        rank, world_size: of this process, 0 <= rank < world_size.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self, lengths: ArrayLike, batch_tokens: int, *, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        super().__init__(lengths, seed=seed, rank=rank, world_size=world_size)
        self.padded = np.array([padded_length(int(length)) for length in self.lengths])
        least = (2 * world_size - 1) * int(self.padded.max())
        if batch_tokens < least:
            raise ValueError(
                f"batch_tokens: expected at least {least}, {2 * world_size - 1} time(s) the longest row, padded, for "
                f"{world_size} process(es), got {batch_tokens}"
            )
        if len(self.lengths) < world_size:
            raise ValueError(f"lengths: expected a row for each of {world_size} processes, got {len(self.lengths)}")
        self.ends = self._ends(batch_tokens)

    def __len__(self) -> int:
        return len(self.ends)

    def batches(self) -> list[NDArray[np.int64]]:
        random = np.random.default_rng((self.seed, self.epoch))
        rows = random.permutation(len(self.lengths))
        rows = rows[np.argsort(-self.padded[rows], kind="stable")]
        batches = np.split(rows, self.ends[:-1])
        return [batches[i] for i in random.permutation(len(batches))]

    def _ends(self, batch_tokens: int) -> list[int]:
        """Return the end index of each batch among the rows sorted from the longest to the shortest."""
        padded, ends = np.sort(self.padded)[::-1], [0]
        while ends[-1] < len(padded):
            ends.append(min(ends[-1] + batch_tokens // int(padded[ends[-1]]), len(padded)))
        if len(ends) > 2 and ends[-1] - ends[-2] < ends[-2] - ends[-3]:  # the last two share their rows equally
            ends[-2] = (ends[-1] + ends[-3] + 1) // 2
        return ends[1:]
