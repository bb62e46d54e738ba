"""The records of a folder as one memory-mapped array, converted once from its WFDB files.

The cache is the folder `records100.cache`. It holds `records.npy`, (n, 1000, 12) float32 in mV; its `finished.json`
also lists the damaged records. See `data.cache`.
"""

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from multiresconv.data.cache import cache_path, file_state, open_cache
from multiresconv.data.ptbxl.entries import Entry
from multiresconv.data.ptbxl.folder import files_of
from multiresconv.data.ptbxl.records import LEADS, LENGTH, read_ptbxl_record

_FORMAT = 1  # increase it when the array, or the definition of a damaged record, changes


class Records(NamedTuple):
    """The records of some entries, in the order of the entries."""

    signals: np.memmap  # (n, 1000, 12) float32 in mV; NaN where a record is damaged
    damaged: dict[int, str]  # ecg_id -> what is wrong


def open_records(folder: Path, entries: Sequence[Entry], cache_folder: Path | None) -> Records:
    """Return the records of entries whose files exist; any number of processes may call this at once.

    Args:
        folder: folder of PTB-XL.
        entries: at least one.
        cache_folder: folder for the cache, default `folder`.

    Raises:
        OSError: the cache cannot be written.
    """
    cache = cache_path(folder, folder / "records100.cache", cache_folder, "ptbxl")

    def load(mark: dict[str, Any]) -> Records | None:
        file = cache / "records.npy"
        known = {"format": _FORMAT, "source": _fingerprint(folder, entries), "array": file_state(file)}
        if {name: mark[name] for name in known} != known:
            return None
        signals = np.load(file, mmap_mode="r", allow_pickle=False)
        if signals.dtype != np.float32 or signals.shape != (len(entries), LENGTH, len(LEADS)):
            return None
        return Records(signals, {int(ecg_id): reason for ecg_id, reason in mark["damaged"].items()})

    def write(fresh: Path, source: str) -> dict[str, Any]:
        damaged = write_records(fresh / "records.npy", folder, entries)
        return {"format": _FORMAT, "source": source, "array": file_state(fresh / "records.npy"), "damaged": damaged}

    return open_cache(
        cache,
        load=load,
        read=lambda: _fingerprint(folder, entries),
        write=write,
        source=folder,
        name="the records",
    )


def write_records(path: Path, folder: Path, entries: Sequence[Entry]) -> dict[int, str]:
    """Write the array record by record; return the damaged records as ecg_id -> what is wrong.

    Writes to a plain file, not to a memory map: on a full disk a write raises an error, but a map kills the process.
    """
    from tqdm import tqdm  # not at the top: needs the training extra

    damaged: dict[int, str] = {}
    shape = (LENGTH, len(LEADS))
    with open(path, "wb") as file:
        header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": (len(entries), *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for entry in tqdm(entries, desc="reading PTB-XL", unit=" records", disable=None):
            try:
                signal = read_ptbxl_record(folder / entry.record)
            except (ValueError, FileNotFoundError, PermissionError) as error:  # permanent, unlike other OSErrors
                damaged[entry.ecg_id] = f"{entry.record}: {error}"
                signal = np.full(shape, np.nan, np.float32)
            file.write(signal.tobytes())
    return damaged


def _fingerprint(folder: Path, entries: Sequence[Entry]) -> str:
    """Return a digest that changes with the list of records and with any of their files."""
    digest = blake2b(digest_size=16)
    for entry in entries:
        states = [file_state(file) for file in files_of(folder, entry)]
        digest.update(json.dumps([entry.ecg_id, entry.record, states]).encode())
    return digest.hexdigest()
