"""A file of ListOps as a data set, tokenised once into memory-mapped arrays beside it.

The cache of `basic_train.tsv` is the folder `basic_train.tsv.cache`: `tokens.npy`, those of all rows end to end,
`offsets.npy`, where each row starts, `labels.npy`, and `finished.json`, written last, with their checksums and what
they were made of. A cache without this mark, or at odds with its mark, or made of another file, is rebuilt.
"""

import errno
import json
import os
import zlib
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from multiresconv.data.listops.files import read_listops
from multiresconv.data.scratch import scratch_folder

_FORMAT = 2  # to be raised when the arrays, or the numbers of the tokens, change
_ARRAYS = {"tokens": np.uint8, "offsets": np.int64, "labels": np.uint8}


class ListOpsSplit(Dataset[tuple[NDArray[np.uint8], int]]):
    """Rows of (tokens (n,) uint8, label); see `open_split`.

    Args:
        tokens: (total,) uint8, of all rows end to end.
        offsets: (rows + 1,) int64, where in `tokens` each row starts, and the total.
        labels: (rows,) uint8.

    Attributes:
        lengths: (rows,) int64, tokens of each row, the end included.
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
        """CRC-32 of all rows, in their order."""
        checksum = 0
        for array in (self.tokens, self.offsets, self.labels):
            checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
        return checksum


def open_split(path: str | Path, *, cache_folder: str | Path | None = None) -> ListOpsSplit:
    """The rows of a ListOps file, published or generated, in its order; the first call tokenises them.

    Any number of processes may open the same file at once.

    Args:
        path: a TSV file with columns Source and Target.
        cache_folder: where the cache goes, by default beside the file, for files whose folder is not writable.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a malformed row, or none; the message names file and line.
        OSError: the cache cannot be written.
    """
    path = Path(path)
    if not path.is_file():
        what = "a folder, expected a file" if path.is_dir() else "no such file; download or generate ListOps first"
        raise FileNotFoundError(f"{path}: {what}")
    if cache_folder is None:
        cache = path.with_name(f"{path.name}.cache")
    else:  # many data folders may share this one, and their files have the same names
        origin = blake2b(os.fsencode(path.resolve()), digest_size=8).hexdigest()
        cache = Path(cache_folder) / f"{path.stem}-{origin}.cache"
    for _ in range(3):  # more than once only where other processes replace the same bad cache in the same instant
        split = _load(cache, path)
        if split is not None:
            return split
        _build(cache, path)
    raise OSError(f"{cache}: not readable although just built; is {path} being written? Try again when it is not")


def _load(cache: Path, path: Path) -> ListOpsSplit | None:
    """The data set, or None unless the cache is finished, sound and made of this very file."""
    try:
        mark = json.loads((cache / "finished.json").read_text())
        if mark["format"] != _FORMAT:
            return None
        if mark["source"] != _identity(path) and mark["content"] != _checksum(path):  # a copy or a touch is no change
            return None
        arrays = {}
        for name, dtype in _ARRAYS.items():
            file = cache / f"{name}.npy"
            if mark["checksums"][name] != _checksum(file):
                return None
            mapped = np.load(file, mmap_mode="r", allow_pickle=False)
            if mapped.dtype != dtype or mapped.ndim != 1:
                return None
            arrays[name] = np.asarray(mapped)  # still mapped, but slices of a memmap object are slow
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return ListOpsSplit(**arrays)


def _build(cache: Path, path: Path) -> None:
    """Tokenise into a folder of our own, then put it in place, unless another process was first."""
    # before reading: a file that changes meanwhile leaves a stale cache, not a false one
    identity = _identity(path)
    content = _checksum(path) if identity["size"] else 0
    tokens, offsets, labels = bytearray(), [0], bytearray()
    for row in read_listops(path):
        tokens += row.tokens.tobytes()
        offsets.append(len(tokens))
        labels.append(row.label)
    if not labels:
        raise ValueError(f"{path}: expected rows below the header, got none")
    data = {"tokens": tokens, "labels": labels}
    arrays = {name: np.frombuffer(values, np.uint8) for name, values in data.items()} | {"offsets": np.array(offsets)}
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(cache.parent, cache.name) as scratch:
            fresh, old = scratch / "fresh", scratch / "old"
            fresh.mkdir()
            for name, dtype in _ARRAYS.items():
                np.save(fresh / f"{name}.npy", arrays[name].astype(dtype, copy=False), allow_pickle=False)
            checksums = {name: _checksum(fresh / f"{name}.npy") for name in _ARRAYS}
            mark = {"format": _FORMAT, "source": identity, "content": content, "checksums": checksums}
            (fresh / "finished.json").write_text(json.dumps(mark, indent=2) + "\n")
            _install(fresh, cache, old, path)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(
            f"{cache.parent}: cannot write the cache of {path.name} here ({error.strerror}); name another folder: "
            "--data.cache_folder of train, --cache_folder of evaluate"
        ) from None


def _install(fresh: Path, cache: Path, old: Path, path: Path) -> None:
    """Move `fresh` to `cache`, and to `old` what is there, unless another process was first."""
    try:
        os.rename(fresh, cache)  # fails where there is a folder with files in it
    except OSError:
        if _load(cache, path) is not None:
            return
        with suppress(OSError):  # a failure is another process doing the same; `open_split` looks again
            os.rename(cache, old)
            os.rename(fresh, cache)


def _identity(path: Path) -> dict[str, int]:
    """What tells one state of a file from another without reading it; a copy may keep its size and mtime."""
    status = path.stat()
    return {name: getattr(status, f"st_{name}") for name in ("size", "mtime_ns", "ctime_ns", "ino")}


def _checksum(file: Path) -> int:
    """CRC-32 of a file, its header included; an empty file is a ValueError."""
    return zlib.crc32(np.memmap(file, np.uint8, mode="r").data)
