"""PTB-XL as a data set: the records of a split with their labels."""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from multiresconv.data.ptbxl.cache import open_records
from multiresconv.data.ptbxl.entries import read_entries
from multiresconv.data.ptbxl.folder import check_folder, is_there
from multiresconv.data.ptbxl.labels import LabelSet, label_matrix, label_names, labels_of_codes, read_statements
from multiresconv.data.ptbxl.records import LENGTH
from multiresconv.data.say import say_once
from multiresconv.data.splits import Split, check_split

FOLDS: dict[Split, tuple[int, ...]] = {"train": (1, 2, 3, 4, 5, 6, 7, 8), "val": (9,), "test": (10,)}

_CHUNK = 256  # records in memory at once, 12 MB
_MAX_LISTED = 20  # damaged records in one message


class PtbXlSplit(Dataset[tuple[NDArray[np.float32], NDArray[np.float32]]]):
    """Rows of (signal (1000, 12) float32 in mV, labels (C,) float32, 0 or 1), sorted by ecg_id; see `open_ptbxl`.

    Args:
        records: (N, 1000, 12) float32, memory-mapped, the records of all splits.
        rows: (n,) indices into `records` of the records in this split.
        labels: (n, C) uint8, 0 or 1.
        ecg_ids: (n,) int64.
        label_names: C names.
        missing: ecg_ids of the split's records whose files are missing.
        damaged: (ecg_id, what is wrong) of the split's damaged records.

    Attributes:
        lengths: (n,) int64, all 1000.
    """

    def __init__(
        self,
        records: np.memmap,
        rows: NDArray[np.int64],
        labels: NDArray[np.uint8],
        ecg_ids: NDArray[np.int64],
        label_names: Sequence[str],
        *,
        missing: Sequence[int] = (),
        damaged: Sequence[tuple[int, str]] = (),
    ) -> None:
        self.records, self.rows = records, rows
        self.labels, self.ecg_ids, self.label_names = labels, ecg_ids, tuple(label_names)
        self.missing, self.damaged = tuple(missing), tuple(damaged)
        self.lengths: NDArray[np.int64] = np.full(len(rows), LENGTH)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if not 0 <= index < len(self):
            raise IndexError(f"index: expected 0 to {len(self) - 1}, got {index}")
        return np.array(self.records[self.rows[index]]), self.labels[index].astype(np.float32)

    @property
    def signals(self) -> NDArray[np.float32]:
        """All signals (n, 1000, 12) in mV, loaded into memory."""
        return np.asarray(self.records[self.rows])

    def chunks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the signals in order, in chunks of at most 256: (n, 1000, 12) in mV."""
        for start in range(0, len(self), _CHUNK):
            yield np.asarray(self.records[self.rows[start : start + _CHUNK]])

    def checksum(self) -> int:
        """Return the CRC-32 of label names, labels, ecg_ids and signals, in order."""
        checksum = zlib.crc32("\n".join(self.label_names).encode())
        for array in (self.labels, self.ecg_ids, *self.chunks()):
            checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
        return checksum

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the path of the records, not a gigabyte of samples; each worker maps the file itself."""
        return {**self.__dict__, "records": (self.records.filename, self.records.shape)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        path, shape = state["records"]
        records = np.load(path, mmap_mode="r", allow_pickle=False)
        if records.shape != shape:
            raise ValueError(f"{path}: expected shape {shape}, got {records.shape}; the records changed meanwhile")
        self.__dict__.update(state, records=records)


def open_ptbxl(
    folder: str | Path, split: Split, labels: LabelSet, *, cache_folder: str | Path | None = None
) -> PtbXlSplit:
    """Open the records of a split that have a label of the set; the first call reads all records into a cache.

    Records whose files are missing or damaged are left out, and a message on standard error lists them. The label names
    are those of all statements in `scp_statements.csv`, even if no record has them. Any number of processes may open a
    folder at once.

    Args:
        folder: holds `ptbxl_database.csv`, `scp_statements.csv` and `records100`; single records may be missing.
        split: "train" (folds 1 to 8), "val" (9) or "test" (10).
        labels: "all", "diagnostic", "subdiagnostic", "superdiagnostic", "form" or "rhythm".
        cache_folder: folder for the cache, needed if `folder` is not writable; default `folder`.

    Raises:
        FileNotFoundError: not a folder of PTB-XL.
        ValueError: an unknown split or label set, a malformed table, or no usable record in the split.
        OSError: the cache cannot be written.
        ModuleNotFoundError: the cache must be built, and the ECG extra is not installed.
    """
    check_split(split)
    folder = Path(folder)
    check_folder(folder)
    statements = read_statements(folder)
    labels_of = labels_of_codes(statements, labels)
    names = label_names(labels_of)
    entries = read_entries(folder, statements)
    listed = [entry for entry in entries if entry.fold in FOLDS[split]]
    wanted = {entry.ecg_id: entry for entry in listed if not entry.codes.isdisjoint(labels_of)}
    present = [entry for entry in entries if is_there(folder, entry)]
    missing = sorted(wanted.keys() - {entry.ecg_id for entry in present})
    nothing = (
        f"{folder}: no usable record with a label of {labels!r} in split {split!r}: "
        f"of {len(listed)} records listed {len(wanted)} have one"
    )
    if len(missing) == len(wanted):
        raise ValueError(f"{nothing}; 0 of these are there")
    records, damage = open_records(folder, present, None if cache_folder is None else Path(cache_folder))
    damaged = [(ecg_id, damage[ecg_id]) for ecg_id in wanted if ecg_id in damage]
    rows = [row for row, entry in enumerate(present) if entry.ecg_id in wanted and entry.ecg_id not in damage]
    _tell_skipped(folder, split, len(wanted), missing, damaged)
    if not rows:
        raise ValueError(f"{nothing}; {len(missing)} of these are not there, {len(damaged)} are damaged")
    ecg_ids = [present[row].ecg_id for row in rows]
    return PtbXlSplit(
        records,
        np.array(rows),
        label_matrix([wanted[ecg_id].codes for ecg_id in ecg_ids], labels_of, names),
        np.array(ecg_ids),
        names,
        missing=missing,
        damaged=damaged,
    )


def _tell_skipped(
    folder: Path, split: Split, wanted: int, missing: Sequence[int], damaged: Sequence[tuple[int, str]]
) -> None:
    if not missing and not damaged:
        return
    lines = [f"{folder}, {split}: {len(missing) + len(damaged)} of {wanted} records skipped"]
    if missing:
        some = ", ".join(map(str, missing[:3])) + ", ..." * (len(missing) > 3)
        lines.append(f"  {len(missing)} are not there: {some}")
    lines += [f"  {ecg_id} is damaged: {reason}" for ecg_id, reason in damaged[:_MAX_LISTED]]
    if len(damaged) > _MAX_LISTED:
        lines.append(f"  {len(damaged) - _MAX_LISTED} more are damaged")
    say_once("\n".join(lines))
