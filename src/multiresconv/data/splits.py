"""The names of the parts of a data set."""

from collections.abc import Sequence
from typing import Literal, get_args

Split = Literal["train", "val", "test"]
PublishedSplit = Literal["train", "test"]  # of sets that leave it to their users what to validate on

SPLITS: tuple[Split, ...] = get_args(Split)
PUBLISHED_SPLITS: tuple[PublishedSplit, ...] = get_args(PublishedSplit)


def check_split(split: str, splits: Sequence[str] = SPLITS) -> None:
    """Raise ValueError unless it is one of these."""
    if split not in splits:
        raise ValueError(f"split: expected one of {', '.join(splits)}, got {split!r}")
