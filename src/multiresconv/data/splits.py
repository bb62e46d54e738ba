"""Names and fingerprints of the splits of a data set."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

Split = Literal["train", "val", "test"]
PublishedSplit = Literal["train", "test"]  # for data sets published without a validation split

SPLITS: tuple[Split, ...] = get_args(Split)
PUBLISHED_SPLITS: tuple[PublishedSplit, ...] = get_args(PublishedSplit)


def check_split(split: str, splits: Sequence[str] = SPLITS) -> None:
    """Raise ValueError unless `split` is one of `splits`."""
    if split not in splits:
        raise ValueError(f"split: expected one of {', '.join(splits)}, got {split!r}")


def fingerprint(open_split: Callable[[Split], Any]) -> dict[str, Any]:
    """Return the number of rows and a checksum of "train" and "val", ready for JSON, to detect changed data.

    `open_split` returns the rows of a split; they have a length and a method `checksum`.
    """
    used: tuple[Split, ...] = ("train", "val")
    splits = {name: open_split(name) for name in used}
    return {name: {"rows": len(rows), "checksum": rows.checksum()} for name, rows in splits.items()}
