"""A ListOps file as a data set, tokenised once into memory-mapped arrays beside it.

The cache of `basic_train.tsv` is the folder `basic_train.tsv.cache`. It holds `tokens.npy` (the tokens of all rows,
concatenated), `offsets.npy` (the start of each row), `labels.npy` and, in `finished.json`, their checksums. See
`data.cache`.
"""

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from multiresconv.data.cache import cache_path, file_state, open_cache
from multiresconv.data.listops.files import read_listops

_FORMAT = 2  # increase it when the arrays or the token numbers change
_ARRAYS = {"tokens": np.uint8, "offsets": np.int64, "labels": np.uint8}


class ListOpsSplit(Dataset[tuple[NDArray[np.uint8], int]]):
    """Rows of (tokens (n,) uint8, label); see `open_split`.

    Args:
        tokens: (total,) uint8, the tokens of all rows, concatenated.
        offsets: (rows + 1,) int64, the start of each row in `tokens`, then the total.
        labels: (rows,) uint8.

    Attributes:
        lengths: (rows,) int64, number of tokens of each row, including the end token.
    """

    def __init__(self, tokens: NDArray[np.uint8], offsets: NDArray[np.int64], labels: NDArray[np.uint8]) -> None:
        self.tokens = tokens
        self.offsets = offsets
        self.labels = labels
        self.lengths: NDArray[np.int64] = np.diff(offsets)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        if not 0 <= index < len(self):
            raise IndexError(f"index: expected 0 to {len(self) - 1}, got {index}")
        return self.tokens[self.offsets[index] : self.offsets[index + 1]], int(self.labels[index])

    def checksum(self) -> int:
        """Return the CRC-32 of all rows in order."""
        checksum = 0
        for array in (self.tokens, self.offsets, self.labels):
            checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
        return checksum


def open_split(path: str | Path, *, cache_folder: str | Path | None = None) -> ListOpsSplit:
    """Open a ListOps file, published or generated, as a data set in file order; the first call tokenises it.

    Any number of processes may open the same file at once.

    Args:
        path: a TSV file with columns Source and Target.
        cache_folder: folder for the cache, needed if the file's own folder is not writable; default beside the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a row is malformed, or there is none; the message names file and line.
        OSError: the cache cannot be written.
    """
    path = Path(path)
    if not path.is_file():
        what = "a folder, expected a file" if path.is_dir() else "no such file; download or generate ListOps first"
        raise FileNotFoundError(f"{path}: {what}")
    cache = cache_path(path, path.with_name(f"{path.name}.cache"), cache_folder, path.stem)
    return open_cache(
        cache,
        load=lambda mark: _load(cache, path, mark),
        read=lambda: _read(path),
        write=_write,
        source=path,
        name=path.name,
    )


def _load(cache: Path, path: Path, mark: dict[str, Any]) -> ListOpsSplit | None:
    """Return the data set, or None if the cache is damaged or was made from another state of the file."""
    if mark["format"] != _FORMAT:
        return None
    if mark["source"] != file_state(path) and mark["content"] != _checksum(path):  # a copy has equal content
        return None
    arrays = {}
    for name, dtype in _ARRAYS.items():
        file = cache / f"{name}.npy"
        if mark["checksums"][name] != _checksum(file):
            return None
        mapped = np.load(file, mmap_mode="r", allow_pickle=False)
        if mapped.dtype != dtype or mapped.ndim != 1:
            return None
        arrays[name] = np.asarray(mapped)  # still memory-mapped, but faster to slice than np.memmap
    return ListOpsSplit(**arrays)


class _Content(NamedTuple):
    """The state of a file, and its rows as arrays."""

    state: dict[str, int]
    checksum: int
    arrays: dict[str, NDArray]


def _read(path: Path) -> _Content:
    state = file_state(path)
    checksum = _checksum(path) if state["size"] else 0
    tokens, offsets, labels = bytearray(), [0], bytearray()
    for row in read_listops(path):
        tokens += row.tokens.tobytes()
        offsets.append(len(tokens))
        labels.append(row.label)
    if not labels:
        raise ValueError(f"{path}: expected rows below the header, got none")
    data = {"tokens": tokens, "labels": labels}
    arrays = {name: np.frombuffer(values, np.uint8) for name, values in data.items()} | {"offsets": np.array(offsets)}
    return _Content(state, checksum, arrays)


def _write(folder: Path, content: _Content) -> dict[str, Any]:
    for name, dtype in _ARRAYS.items():
        np.save(folder / f"{name}.npy", content.arrays[name].astype(dtype, copy=False), allow_pickle=False)
    checksums = {name: _checksum(folder / f"{name}.npy") for name in _ARRAYS}
    return {"format": _FORMAT, "source": content.state, "content": content.checksum, "checksums": checksums}


def _checksum(file: Path) -> int:
    """Return the CRC-32 of a file, including its header; raises ValueError if the file is empty."""
    return zlib.crc32(np.memmap(file, np.uint8, mode="r").data)
