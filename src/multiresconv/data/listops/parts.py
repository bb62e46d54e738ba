"""Cut sub-expressions out of ListOps rows: shorter training data made from the existing rows alone."""

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.listops.cache import ListOpsSplit, open_split
from multiresconv.data.listops.files import split_path
from multiresconv.data.listops.vocabulary import END, decode
from multiresconv.data.scratch import scratch_folder
from multiresconv.data.splits import Split


def cut_listops(
    source: str | Path,
    folder: str | Path,
    *,
    min_length: int,
    max_length: int,
    n_train: int | None = None,
    n_val: int | None = 2_000,
    seed: int = 0,
) -> dict[str, int]:
    """Write `basic_train.tsv` and `basic_val.tsv` of sub-expressions, each cut from the rows of its own split.

    A sub-expression is an operator with its arguments; its length is its number of tokens without parentheses. Within a
    file each sub-expression occurs once. The files depend on the arguments alone, and appear when both are complete.

    Args:
        source: folder of ListOps; its train and val rows are cut.
        folder: created if it does not exist; existing files are replaced.
        min_length, max_length: both exclusive.
        n_train, n_val: largest number of rows of each file, drawn at random; None keeps all.
        seed: seed of the draws.

    Returns:
        The number of rows of each file, by split.

    Raises:
        FileNotFoundError: no such source.
        ValueError: no sub-expression satisfies the limits.
    """
    if not 0 <= min_length < max_length - 1:
        raise ValueError(
            f"min_length, max_length: expected 0 <= min_length < max_length - 1, got {min_length}, {max_length}"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    limits: dict[Split, int | None] = {"train": n_train, "val": n_val}
    counts: dict[str, int] = {}
    with scratch_folder(folder, "unfinished") as scratch:
        for number, (split, most) in enumerate(limits.items()):
            path = split_path(source, split)
            parts = list(_distinct(open_split(path), min_length, max_length))
            if not parts:
                raise ValueError(
                    f"{path}: no sub-expression of more than {min_length} and fewer than {max_length} tokens"
                )
            order = np.random.default_rng([seed, number]).permutation(len(parts))[:most]
            with open(scratch / split_path(folder, split).name, "w", encoding="utf-8", newline="") as file:
                file.write("Source\tTarget\r\n")
                for index in order:
                    tokens, value = parts[index]
                    file.write(f"{decode(np.frombuffer(tokens, np.uint8))}\t{value}\r\n")
            counts[split] = len(order)
        for split in limits:
            os.replace(scratch / split_path(folder, split).name, split_path(folder, split))
    return counts


def _distinct(rows: ListOpsSplit, min_length: int, max_length: int) -> Iterator[tuple[bytes, int]]:
    """Yield the tokens and the value of each distinct sub-expression within the limits."""
    from multiresconv.data.listops.trees import subtrees  # not at the top: imports Numba

    seen: set[bytes] = set()
    for row in range(len(rows)):
        tokens, _ = rows[row]
        whole: NDArray[np.uint8] = tokens[:-1] if tokens[-1] == END else tokens
        spans = np.empty((len(whole), 2), np.int64)
        values = np.empty(len(whole), np.int64)
        for (start, end), value in zip(spans[: (n := subtrees(whole, spans, values))], values[:n], strict=True):
            if min_length < end - start < max_length:
                part = whole[start:end].tobytes()
                digest = blake2b(part, digest_size=16).digest()
                if digest not in seen:
                    seen.add(digest)
                    yield part, int(value)
