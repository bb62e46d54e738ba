"""The names of the parts of a data set."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

Split = Literal["train", "val", "test"]
PublishedSplit = Literal["train", "test"]  # of sets that leave it to their users what to validate on

SPLITS: tuple[Split, ...] = get_args(Split)
PUBLISHED_SPLITS: tuple[PublishedSplit, ...] = get_args(PublishedSplit)


def check_split(split: str, splits: Sequence[str] = SPLITS) -> None:
    """Raise ValueError unless it is one of these."""
    if split not in splits:
        raise ValueError(f"split: expected one of {', '.join(splits)}, got {split!r}")


def fingerprint(open_split: Callable[[Split], Any]) -> dict[str, Any]:
    """What tells the rows that a model is trained and chosen on from others, ready for JSON.

    `open_split` gives the rows of a split, with a length and a method `checksum`.
    """
    used: tuple[Split, ...] = ("train", "val")
    splits = {name: open_split(name) for name in used}
    return {name: {"rows": len(rows), "checksum": rows.checksum()} for name, rows in splits.items()}
