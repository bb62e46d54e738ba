"""Draw the splits of a data set: stratified by class, and never with a group in two of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.recording import listed
from multiresconv.data.splits import SPLITS

_TRAIN, _VAL, _TEST = range(3)
_NAMED = 5  # groups in one message


class Assignment(NamedTuple):
    """The split of each row."""

    splits: NDArray[np.int64]  # (rows,) index into `SPLITS`
    remarks: tuple[str, ...]  # what to know about them, a line each


def assign(
    groups: Sequence[str],
    given: Sequence[str],
    labels: NDArray[np.float32],
    names: Sequence[str],
    *,
    val_share: float,
    test_share: float,
    seed: int,
) -> Assignment:
    """Return the split of each row; equal arguments give equal splits.

    Given splits stay, see `check_groups`. If none of the given rows is "val", it is drawn from "train", a share
    `val_share` of these.

    Where every row is a group of its own and has one class, each class is in each split within one row of its share,
    and a class with a single row goes to "train". Otherwise the groups, the largest first, go where the numbers of rows
    and of labels are furthest below their shares.

    Args:
        groups: of each row.
        given: "train", "val" or "test" for each row, or "" for each.
        labels: (rows, names) how much each row counts for what is to be spread evenly; (rows, 0) for nothing.
        names: names of the columns of `labels`.
        val_share: share of the rows of "val".
        test_share: share of the rows of "test".
        seed: of the draw.

    Raises:
        ValueError: there are fewer groups than splits.
    """
    _, numbers = np.unique(np.array(groups), return_inverse=True)
    splits = np.full(len(groups), _TRAIN)
    shares, free = np.array([1 - val_share - test_share, val_share, test_share]), np.arange(len(groups))
    if any(given):
        splits = np.array([SPLITS.index(split) for split in given])  # pyright: ignore[reportArgumentType]
        if (splits == _VAL).any() or not val_share:
            return Assignment(splits, _remarks(labels, names, splits))
        shares, free = np.array([1 - val_share, val_share, 0.0]), np.flatnonzero(splits == _TRAIN)
    _check_count(len(np.unique(numbers[free])), shares, bool(any(given)))
    random = np.random.default_rng(seed)
    alone = len(np.unique(numbers[free])) == len(free)
    one_class = (labels[free].sum(1) == 1).all() if labels.shape[1] else True
    draw = _stratified if alone and one_class else _grouped
    drawn = draw(numbers[free], labels[free], shares, random)
    splits[free] = drawn
    return Assignment(splits, _remarks(labels, names, splits))


def check_groups(groups: Sequence[str], given: Sequence[str]) -> None:
    """Raise ValueError if rows of one group are given in different splits; the message names such groups."""
    first, both = dict[str, str](), dict[str, str]()
    for group, split in zip(groups, given, strict=True):
        if first.setdefault(group, split) != split:
            both.setdefault(group, f"{group} ({first[group]} and {split})")
    if both:
        named = ", ".join(list(both.values())[:_NAMED]) + (
            f" and {len(both) - _NAMED} more" if len(both) > _NAMED else ""
        )
        raise ValueError(f"expected each group in one split, got in two: {named}; mend the column of the splits")


def _check_count(count: int, shares: NDArray[np.float64], given: bool) -> None:
    wanted = [name for name, share in zip(SPLITS, shares, strict=True) if share > 0]
    if count < len(wanted):
        raise ValueError(
            f"expected at least {len(wanted)} groups{' in train' if given else ''}, one each for {', '.join(wanted)}, "
            f"got {count}; add recordings, give a column of splits, or set --data.val_share or --data.test_share to 0"
        )


def _stratified(
    _: NDArray[np.int64], labels: NDArray[np.float32], shares: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Split rows of one class each such that each class is in each split within one row of its share."""
    classes = labels.argmax(1) if labels.shape[1] else np.zeros(len(labels), np.int64)
    splits = np.full(len(classes), _TRAIN)
    owed = np.zeros(3)  # rows that each split lacks so far
    order = random.permutation(np.unique(classes))  # otherwise the last classes of the alphabet would pay the rounding
    for number in order:
        rows = random.permutation(np.flatnonzero(classes == number))
        ideal = len(rows) * shares
        counts = np.floor(ideal + 1e-9).astype(np.int64)
        owed += ideal - counts
        may = ideal - counts > 1e-9
        if len(rows) == 1:
            may = np.arange(3) == _TRAIN
        while counts.sum() < len(rows):
            split = int(np.argmax(np.where(may, owed, -np.inf)))
            counts[split] += 1
            owed[split] -= 1
            may[split] = False
        splits[rows] = np.repeat(np.arange(3), counts)
    for split in (_VAL, _TEST):
        if shares[split] > 0 and not (splits == split).any():
            _move(splits, classes, split, random)
    if not (splits == _TRAIN).any():
        splits[int(random.integers(len(splits)))] = _TRAIN
    return splits


def _move(splits: NDArray[np.int64], classes: NDArray[np.int64], split: int, random: np.random.Generator) -> None:
    """Move a row to an empty split, from the split and the class with the most rows."""
    largest = int(np.bincount(splits, minlength=3).argmax())
    inside = np.flatnonzero(splits == largest)
    common = np.bincount(classes[inside]).argmax()
    splits[random.choice(inside[classes[inside] == common])] = split


def _grouped(
    groups: NDArray[np.int64], labels: NDArray[np.float32], shares: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Give each group to the split that lacks most of what it has."""
    _, groups = np.unique(groups, return_inverse=True)
    rows = np.bincount(groups).astype(np.float64)
    has = np.zeros((len(rows), 1 + labels.shape[1]))
    has[:, 0] = rows
    np.add.at(has[:, 1:], groups, labels)
    weight = 1 / np.maximum(has.sum(0), 1)  # a rare label counts as much as a frequent one
    order = random.permutation(len(rows))
    order = order[np.argsort(-rows[order], kind="stable")]
    used = np.flatnonzero(shares > 0)
    lacks = shares[:, None] * has.sum(0)
    of_group = np.zeros(len(rows), np.int64)
    count = np.zeros(3, np.int64)
    for place, group in enumerate(order):
        # by so much falls the sum of the squares of what each split lacks of each label, relative to the shares
        gain = ((2 * lacks[used] - has[group]) * has[group] / shares[used, None] * weight**2).sum(1)
        empty = used[count[used] == 0]
        candidates = empty if len(order) - place <= len(empty) else used
        split = int(candidates[np.argmax(gain[np.isin(used, candidates)])])
        of_group[group] = split
        count[split] += 1
        lacks[split] -= has[group]
    return of_group[groups]


def _remarks(labels: NDArray[np.float32], names: Sequence[str], splits: NDArray[np.int64]) -> tuple[str, ...]:
    """Say which labels are in too few rows to be in every split."""
    rows = np.stack([(labels[splits == split] > 0).sum(0) for split in range(3)])  # (3, names)
    there = [split for split in range(3) if (splits == split).any()]

    def remark(which: NDArray[np.bool_], what: str) -> list[str]:
        found = [name for name, chosen in zip(names, which, strict=True) if chosen]
        return [f"{len(found)} label(s) {what}: {listed(found)}"] if found else []

    if not names:
        return ()
    several = rows.sum(0) > 1
    remarks = remark(rows.sum(0) == 1, "in a single row, so in a single split")
    for split in there:
        what = f"without a row in {SPLITS[split]}{', which cannot be learned' if split == _TRAIN else ''}"
        remarks += remark((rows[split] == 0) & (several | (split == _TRAIN)) & (rows.sum(0) > 0), what)
    return tuple(remarks)
