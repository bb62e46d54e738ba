"""The records of a folder as one memory-mapped array, made of its WFDB files once.

The cache is a folder, `records100.cache`: `records.npy`, (n, 1000, 12) float32 in mV, and `finished.json`, written
last, which says what files it was made of and which of them are damaged. A cache without this mark, or made of other
files, or of files that have changed since, is rebuilt.
"""

import errno
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from multiresconv.data.ptbxl.entries import Entry
from multiresconv.data.ptbxl.folder import files_of
from multiresconv.data.ptbxl.records import LEADS, LENGTH, read_ptbxl_record
from multiresconv.data.scratch import scratch_folder

_FORMAT = 1  # to be raised when the array, or what counts as damaged, changes


class Records(NamedTuple):
    """The records of some entries, in their order."""

    signals: np.memmap  # (n, 1000, 12) float32 in mV; NaN where a record is damaged
    damaged: dict[int, str]  # what is wrong, by ecg_id


def open_records(folder: Path, entries: Sequence[Entry], cache_folder: Path | None) -> Records:
    """The records of entries whose files are there; any number of processes may ask at once.

    Args:
        folder: of PTB-XL.
        entries: at least one.
        cache_folder: where the cache goes, by default into `folder`.

    Raises:
        OSError: the cache cannot be written.
    """
    if cache_folder is None:
        cache = folder / "records100.cache"
    else:  # many data folders may share this one
        origin = blake2b(os.fsencode(folder.resolve()), digest_size=8).hexdigest()
        cache = cache_folder / f"ptbxl-{origin}.cache"
    for _ in range(3):  # more than once only where other processes replace the same bad cache in the same instant
        # before reading: a file that changes meanwhile leaves a stale cache, not a false one
        source = _fingerprint(folder, entries)
        records = _load(cache, source, len(entries))
        if records is not None:
            return records
        _build(cache, source, folder, entries)
    raise OSError(f"{cache}: not readable although just built; is {folder} being written? Try again when it is not")


def _load(cache: Path, source: str, n: int) -> Records | None:
    """The records, or None unless the cache is finished, whole and made of these very files."""
    try:
        mark = json.loads((cache / "finished.json").read_text())
        if mark["format"] != _FORMAT or mark["source"] != source or mark["array"] != _identity(cache / "records.npy"):
            return None
        signals = np.load(cache / "records.npy", mmap_mode="r", allow_pickle=False)
        if signals.dtype != np.float32 or signals.shape != (n, LENGTH, len(LEADS)):
            return None
        return Records(signals, {int(ecg_id): reason for ecg_id, reason in mark["damaged"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _build(cache: Path, source: str, folder: Path, entries: Sequence[Entry]) -> None:
    """Read all records into a folder of our own, then put it in place, unless another process was first."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(cache.parent, cache.name) as scratch:
            fresh, old = scratch / "fresh", scratch / "old"
            fresh.mkdir()
            damaged = _write(fresh / "records.npy", folder, entries)
            array = _identity(fresh / "records.npy")
            mark = {"format": _FORMAT, "source": source, "array": array, "damaged": damaged}
            (fresh / "finished.json").write_text(json.dumps(mark, indent=2) + "\n")
            _install(fresh, cache, old, source, len(entries))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(
            f"{cache.parent}: cannot write the cache of the records here ({error.strerror}); name another folder: "
            "--data.cache_folder of train, --cache_folder of evaluate"
        ) from None


def _write(path: Path, folder: Path, entries: Sequence[Entry]) -> dict[int, str]:
    """Write the array record by record, and tell which are damaged and why.

    A plain file, not a map of one: where the disk is full, a write fails with an error, a map kills the process.
    """
    from tqdm import tqdm  # not above: it comes with the training extra

    damaged: dict[int, str] = {}
    shape = (LENGTH, len(LEADS))
    with open(path, "wb") as file:
        header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": (len(entries), *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for entry in tqdm(entries, desc="reading PTB-XL", unit=" records", disable=None):
            try:
                signal = read_ptbxl_record(folder / entry.record)
            except (ValueError, FileNotFoundError, PermissionError) as error:  # what lasts, unlike a disk's hiccup
                damaged[entry.ecg_id] = f"{entry.record}: {error}"
                signal = np.full(shape, np.nan, np.float32)
            file.write(signal.tobytes())
    return damaged


def _install(fresh: Path, cache: Path, old: Path, source: str, n: int) -> None:
    """Move `fresh` to `cache`, and to `old` what is there, unless another process was first."""
    try:
        os.rename(fresh, cache)  # fails where there is a folder with files in it
    except OSError:
        if _load(cache, source, n) is not None:
            return
        with suppress(OSError):  # a failure is another process doing the same; `open_records` looks again
            os.rename(cache, old)
            os.rename(fresh, cache)


def _fingerprint(folder: Path, entries: Sequence[Entry]) -> str:
    """A digest that changes with the list of records and with any of their files."""
    digest = blake2b(digest_size=16)
    for entry in entries:
        identities = [_identity(file) for file in files_of(folder, entry)]
        digest.update(json.dumps([entry.ecg_id, entry.record, identities]).encode())
    return digest.hexdigest()


def _identity(path: str | Path) -> dict[str, int]:
    """What tells one state of a file from another without reading it."""
    status = os.stat(path)
    return {name: getattr(status, f"st_{name}") for name in ("size", "mtime_ns", "ctime_ns")}
