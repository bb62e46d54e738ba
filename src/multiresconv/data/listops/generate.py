"""Generate ListOps with the distribution of the Long Range Arena (Tay et al. 2021, sec. 2.2.1)."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from multiresconv.data.listops.files import split_path
from multiresconv.data.listops.limits import Limits, count_trees
from multiresconv.data.scratch import scratch_folder
from multiresconv.data.splits import SPLITS

MAX_DRAWS = 1 << 22  # trees drawn for one row before the limits count as unreachable; takes some seconds
MAX_ATTEMPTS = 100_000  # rows drawn to replace one duplicate before no new tree counts as left; takes some seconds


class _Drawn(NamedTuple):
    source: bytes
    label: int
    digest: bytes


def generate_listops(
    folder: str | Path,
    *,
    n_train: int = 96_000,
    n_val: int = 2_000,
    n_test: int = 2_000,
    min_length: int = 500,
    max_length: int = 2_000,
    max_depth: int = 10,
    max_args: int = 10,
    seed: int = 0,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
    _operator_probability: float = 0.25,
) -> None:
    """Write `basic_train.tsv`, `basic_val.tsv` and `basic_test.tsv`; no row occurs twice across the three files.

    A tree is drawn from the root down; the root has depth 1. Each node is an operator (MIN, MAX, MED or SM, with 2 to
    `max_args` arguments) with probability 1/4, else a digit; at `max_depth` it is always a digit. A tree is kept if its
    length, the number of tokens without parentheses, lies between the limits. The files are the same on every machine
    and for any number of workers. They appear under their names only when all three are complete.

    Args:
        folder: created if it does not exist.
        n_train, n_val, n_test: rows of each file, at least 1.
        min_length, max_length: both exclusive: min_length < length < max_length.
        max_depth: at least 1.
        max_args: at least 2.
        seed: from 0 to 2^64 - 1.
        workers: number of threads; default one per core.
        overwrite: replace existing files.
        progress: show a progress bar if stderr is a terminal.

    Raises:
        FileExistsError: a file exists, and `overwrite` is False.
        ValueError: an argument is out of range, or too few trees satisfy the limits.
    """
    from tqdm import tqdm  # not at the top: needs the training extra

    limits = Limits(min_length, max_length, max_depth, max_args, _operator_probability)
    rows = {"n_train": n_train, "n_val": n_val, "n_test": n_test}
    workers = _available_cores() if workers is None else workers
    limits.check()
    for name, value in [*rows.items(), ("workers", workers)]:
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed: expected 0 to 2^64 - 1, got {seed}")
    wanted = sum(rows.values())
    if (trees := count_trees(limits, wanted)) < wanted:
        raise ValueError(
            f"n_train + n_val + n_test: got {wanted}, but only {trees} distinct trees satisfy min_length {min_length}, "
            f"max_length {max_length}, max_depth {max_depth} and max_args {max_args}"
        )
    paths = [split_path(folder, split) for split in SPLITS]
    if not overwrite:
        _check_free(paths)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder, "unfinished") as scratch:
        taken: set[bytes] = set()
        with tqdm(total=wanted, desc="generate", unit="row", disable=None if progress else True) as bar:
            for split, (path, n) in enumerate(zip(paths, rows.values(), strict=True)):
                with open(scratch / path.name, "wb") as file:
                    file.write(b"Source\tTarget\r\n")
                    for row in _distinct_rows(limits, seed, split, n, workers, taken):
                        file.write(b"%b\t%d\r\n" % (row.source, row.label))
                        bar.update()
        if not overwrite:
            _check_free(paths)  # again, since another process may have been first
        for path in paths:  # old files first: if this is interrupted, files are missing, but never from two sets
            path.unlink(missing_ok=True)
        for path in paths:
            os.replace(scratch / path.name, path)


def _check_free(paths: list[Path]) -> None:
    for path in paths:
        if path.exists():
            raise FileExistsError(f"{path}: exists; delete it, choose another folder or overwrite")


def _distinct_rows(limits: Limits, seed: int, split: int, n: int, workers: int, taken: set[bytes]) -> Iterator[_Drawn]:
    """Yield the rows of a split in order, and add their digests to `taken`.

    A duplicate is replaced by a further draw for the same row. Rows are checked in order, so that the choice does not
    depend on the workers.
    """
    for i, row in enumerate(_first_rows(limits, seed, split, n, workers)):
        for attempt in count(1):
            if row.digest not in taken:
                break
            if attempt > MAX_ATTEMPTS:
                raise ValueError(
                    f"n_train + n_val + n_test: after {len(taken)} rows {MAX_ATTEMPTS} draws gave no new one; "
                    f"ask for fewer rows or wider limits"
                )
            (row,) = draw_chunk(limits, seed, split, i, 1, attempt)
        taken.add(row.digest)
        yield row


def _first_rows(limits: Limits, seed: int, split: int, n: int, workers: int) -> Iterator[_Drawn]:
    """Yield the first draw for each row of a split, in order; threads work ahead, but only a little, to save memory."""
    chunk = 64
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[list[_Drawn]]] = deque()
        try:
            for first in range(0, n, chunk):
                ahead.append(pool.submit(draw_chunk, limits, seed, split, first, min(chunk, n - first), 0))
                if len(ahead) > 2 * workers:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def draw_chunk(limits: Limits, seed: int, split: int, first: int, n: int, attempt: int) -> list[_Drawn]:
    # not at the top: only the generator has to wait for Numba
    from multiresconv.data.listops.trees import TEXT_PER_TOKEN, draw_rows

    text = np.empty(n * limits.max_length * TEXT_PER_TOKEN, np.uint8)
    ends, labels = np.empty(n, np.int64), np.empty(n, np.uint8)
    stream = np.uint64(seed), np.uint64(split), first, np.uint64(attempt)
    found = draw_rows(*stream, *limits, MAX_DRAWS, text, ends, labels)
    if found < n:
        raise ValueError(
            f"min_length, max_length: {MAX_DRAWS} draws gave no tree of more than {limits.min_length} and fewer than "
            f"{limits.max_length} tokens; widen these limits"
        )
    starts = [0, *ends[:-1].tolist()]
    sources = [text[start:end].tobytes() for start, end in zip(starts, ends.tolist(), strict=True)]
    return [
        _Drawn(source, label, blake2b(source, digest_size=16).digest())
        for source, label in zip(sources, labels.tolist(), strict=True)
    ]


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
