"""`RecordingSplit`: the rows of one split of a data set of recordings."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from multiresconv.data.recordings.targets import Targets

CHUNK = 1 << 20  # time steps in memory at once

Target = int | NDArray[np.float32] | None


class RecordingSplit(Dataset[tuple[NDArray[np.float32], Target]]):
    """Rows of (signal (time, channels) float32 with NaN where a value is missing, target); see `open_recordings`.

    A target is a number of a class, a float32 array of labels (0 or 1) or values, or None.

    Args:
        values: (total, channels) float32, memory-mapped, of all recordings of all splits.
        starts: (rows,) first time step of each row in `values`.
        lengths: (rows,) time steps of each row.
        targets: of these rows.
        names: what each row is, for messages and reports: its recording and, if it is one, the window.
        groups: group of each row.
    """

    def __init__(
        self,
        values: NDArray[np.float32],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        targets: Targets,
        names: Sequence[str],
        groups: Sequence[str],
    ) -> None:
        self.values, self.starts, self.lengths = values, starts, lengths
        self.targets, self.names, self.groups = targets, tuple(names), tuple(groups)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Target]:
        if not 0 <= index < len(self):
            raise IndexError(f"index: expected 0 to {len(self) - 1}, got {index}")
        return np.array(self.signal(index)), self._target(index)

    def signal(self, index: int) -> NDArray[np.float32]:
        """Return the signal (time, channels) of a row as it lies in the file, not copied."""
        start = int(self.starts[index])
        return self.values[start : start + int(self.lengths[index])]

    def first_missing(self) -> int | None:
        """Return the index of the first row with a missing value, None if there is none."""
        return next((index for index in range(len(self)) if np.isnan(self.signal(index)).any()), None)

    def chunks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the signals of all rows in order, one after another, in chunks (time, channels) of a few megabytes."""
        parts, size = list[NDArray[np.float32]](), 0
        for index in range(len(self)):
            signal = self.signal(index)
            for start in range(0, len(signal), CHUNK):
                parts.append(signal[start : start + CHUNK])
                size += len(parts[-1])
                if size >= CHUNK:
                    yield np.concatenate(parts)
                    parts, size = [], 0
        if parts:
            yield np.concatenate(parts)

    def checksum(self) -> int:
        """Return the CRC-32 of the names of the targets, the targets, the lengths and the signals, in order."""
        checksum = zlib.crc32("\n".join((self.targets.kind, *self.targets.names)).encode())
        for array in (self.targets.values, self.lengths):
            checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
        for chunk in self.chunks():
            checksum = zlib.crc32(np.ascontiguousarray(chunk).data, checksum)
        return checksum

    def _target(self, index: int) -> Target:
        if self.targets.kind == "none":
            return None
        value = self.targets.values[index]
        return int(value) if self.targets.kind == "class" else np.array(value, np.float32)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the path of mapped values, not the values; each worker maps the file itself."""
        if not isinstance(self.values, np.memmap):
            return dict(self.__dict__)
        return {**self.__dict__, "values": (self.values.filename, self.values.shape)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state["values"], tuple):
            path, shape = state["values"]
            state = {**state, "values": np.memmap(path, "<f4", "r", shape=shape)}
        self.__dict__.update(state)
