"""Splits: a group is never in two, classes are spread evenly, and equal arguments give equal splits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data.recordings.assign import assign, check_groups
from multiresconv.data.splits import SPLITS

SHARES = st.tuples(st.sampled_from([0.0, 0.1, 0.15, 0.3]), st.sampled_from([0.0, 0.1, 0.2, 0.4]))


def draw(classes, groups=None, given=None, shares=(0.2, 0.2), seed=0):
    names = sorted(set(classes))
    labels = np.array([[name == of for name in names] for of in classes], np.float32)
    groups = [str(number) for number in range(len(classes))] if groups is None else groups
    given = [""] * len(classes) if given is None else given
    return assign(groups, given, labels, [f"c{n}" for n in names], val_share=shares[0], test_share=shares[1], seed=seed)


@examples(100)
@given(classes=st.lists(st.integers(0, 4), min_size=12, max_size=80), shares=SHARES, seed=st.integers(0, 99))
def test_each_class_is_within_one_row_of_its_share(classes, shares, seed) -> None:
    splits = draw(classes, shares=shares, seed=seed).splits
    moved = 0
    for number in set(classes):
        rows = np.array(classes) == number
        for split, share in enumerate((1 - sum(shares), *shares)):
            away = abs((splits[rows] == split).sum() - share * rows.sum())
            assert away <= 2 + 1e-9
            moved += away > 1 + 1e-9
    assert moved <= 4  # a row may have been moved to a split that had none
    if all(classes.count(number) >= 10 for number in set(classes)):
        assert moved == 0
    for split, share in enumerate((1 - sum(shares), *shares)):
        assert (splits == split).any() == (share > 0)


@examples(100)
@given(
    rows=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=5, max_size=80),
    shares=SHARES,
    seed=st.integers(0, 99),
)
def test_a_group_is_never_in_two_splits(rows, shares, seed) -> None:
    groups, classes = [f"g{group}" for group, _ in rows], [number for _, number in rows]
    wanted = 1 + sum(share > 0 for share in shares)
    if len(set(groups)) < wanted:
        with pytest.raises(ValueError, match=f"expected at least {wanted} groups, one each for train"):
            draw(classes, groups, shares=shares, seed=seed)
        return
    splits = draw(classes, groups, shares=shares, seed=seed).splits
    for group in set(groups):
        assert len({split for split, of in zip(splits.tolist(), groups, strict=True) if of == group}) == 1
    assert len(set(splits.tolist())) == wanted
    assert (splits == draw(classes, groups, shares=shares, seed=seed).splits).all()


def test_many_equal_groups_come_close_to_their_shares() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 5)
    classes = random.choice(4, 1000, p=[0.6, 0.2, 0.15, 0.05])
    splits = draw(classes.tolist(), [str(group) for group in groups], shares=(0.15, 0.15)).splits
    for number in range(4):
        counts = np.bincount(splits[classes == number], minlength=3) / (classes == number).sum()
        np.testing.assert_allclose(counts, [0.7, 0.15, 0.15], atol=0.04)


def test_several_labels_of_a_row_are_spread_too() -> None:
    random = np.random.default_rng(0)
    labels = (random.random((400, 6)) < [0.5, 0.3, 0.1, 0.05, 0.05, 0.02]).astype(np.float32)
    names = [f"l{number}" for number in range(6)]
    groups = [str(number) for number in range(400)]
    splits = assign(groups, [""] * 400, labels, names, val_share=0.25, test_share=0.25, seed=1).splits
    for number in range(6):
        counts = [labels[splits == split, number].sum() / labels[:, number].sum() for split in range(3)]
        np.testing.assert_allclose(counts, [0.5, 0.25, 0.25], atol=0.13)


def test_other_seeds_give_other_splits() -> None:
    drawn = [tuple(draw([0, 1] * 30, seed=seed).splits) for seed in range(5)]
    assert len(set(drawn)) == 5


def test_a_class_with_a_single_row_goes_to_train_and_is_told() -> None:
    classes = [0] * 20 + [1] * 20 + [2]
    for seed in range(10):
        drawn = draw(classes, seed=seed)
        assert SPLITS[drawn.splits[-1]] == "train"
        assert drawn.remarks == ("1 label(s) in a single row, so in a single split: c2",)


def test_a_label_that_a_split_lacks_is_told() -> None:
    drawn = draw([0, 0, 0, 1, 1, 1], given=["train", "val", "test", "test", "test", "val"])
    assert drawn.remarks == ("1 label(s) without a row in train, which cannot be learned: c1",)


def test_given_splits_stay_and_val_is_drawn_from_train() -> None:
    classes, given = [0, 1] * 20, ["train"] * 30 + ["test"] * 10
    splits = draw(classes, given=given, shares=(0.2, 0.5)).splits
    assert (splits[30:] == SPLITS.index("test")).all()
    assert np.bincount(splits[:30], minlength=3).tolist() == [24, 6, 0]
    assert draw(classes, given=given, shares=(0, 0)).splits.tolist() == [0] * 30 + [2] * 10


def test_groups_in_two_given_splits_are_named() -> None:
    given = ["train", "test", "val", "val", "train"]
    with pytest.raises(ValueError, match=r"got in two: anna \(train and test\), ben \(val and train\); mend"):
        check_groups(["anna", "anna", "carl", "ben", "ben"], given)
    check_groups(["anna", "anna", "carl"], ["train", "train", "val"])
