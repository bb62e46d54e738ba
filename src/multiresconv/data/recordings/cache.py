"""The signals of a data set as one memory-mapped array, read once from the users' files.

The cache of `labels.csv` is the folder `labels.csv-<options>.cache` beside it. It holds `signals.f32` (the values
(time, channels) of all recordings, concatenated), `offsets.npy` (the start of each in time steps, then the total) and,
if the signals are in the table itself, `rows.json`. See `data.cache`. A change of labels alone does not rebuild it. Of
the caches of a table, the `KEPT` that were used last stay.
"""

import glob
import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multiresconv.data.cache import cache_path, file_state, open_cache
from multiresconv.data.old_caches import delete_old_caches
from multiresconv.data.readers.job import Unreadable
from multiresconv.data.readers.read_recording import at_rate
from multiresconv.data.readers.recording import Recording
from multiresconv.data.recordings.harmonise import Harmoniser
from multiresconv.data.recordings.options import TableData, names_of
from multiresconv.data.recordings.reading import read_rows
from multiresconv.data.recordings.rows import (
    Listing,
    Row,
    as_json,
    from_json,
    is_listed,
    list_files,
    read_held,
    sources_of,
)
from multiresconv.files import write_json
from multiresconv.locks import share

KEPT = 4  # caches of a table, of different options
_FORMAT = 1  # increase it when the arrays, or what is read from a file, change
_LAST = 1 << 62  # time step
_SIGNALS, _OFFSETS, _ROWS = "signals.f32", "offsets.npy", "rows.json"


class Signals(NamedTuple):
    """The rows of a data set whose recordings were read, and their signals."""

    listing: Listing  # of these rows
    values: NDArray[np.float32]  # (total time, channels), memory-mapped if read from files; NaN is missing
    offsets: NDArray[np.int64]  # (rows + 1,) start of each row in `values`, then the total
    channels: tuple[str, ...]
    units: tuple[str | None, ...]
    rate: float | None
    skipped: tuple[tuple[str, str], ...]  # name and reason of each recording that was left out
    converted: int  # recordings whose units were converted

    def steps(self, times: ArrayLike) -> NDArray[np.int64]:
        """Return the time steps of times in seconds, or in samples if the rate is not known."""
        scaled = np.asarray(times, np.float64) * (1.0 if self.rate is None else self.rate)
        return np.clip(scaled.round(), 0, _LAST).astype(np.int64)


def open_signals(data: TableData) -> Signals:
    """Return the signals of a data set; the first call reads all its files. Any number of processes may call it.

    Raises:
        OSError: a file cannot be read, or the cache cannot be written.
        ValueError: the table or a recording is malformed, the recordings do not fit together, or none can be read.
        ModuleNotFoundError: an extra that reads one of the files is not installed.
    """
    listing = list_files(data) if is_listed(data) else None
    cache = _cache_of(data, data.table.name, _digest(_options(data)))

    def source() -> str:
        return _digest([data.table.name, _states(data, listing)])

    def load(mark: dict[str, Any]) -> Signals | None:
        with open(cache / _SIGNALS, "rb") as signals:
            share(signals)  # first: what is looked at after this is not deleted any more
            known = {"format": _FORMAT, "source": source(), "arrays": _array_states(cache, mark["arrays"])}
            if {key: mark[key] for key in known} != known:
                return None
            return _load(cache, mark, listing, signals)

    def write(fresh: Path, read: str) -> dict[str, Any]:
        facts = _write(fresh, data, listing)
        alike = _cache_of(data, glob.escape(data.table.name), "[0-9a-f]" * 16).name
        others = (other for other in cache.parent.glob(alike) if other.name != cache.name)
        delete_old_caches(others, shared=_SIGNALS, keep=KEPT - 1)
        names = [_SIGNALS, _OFFSETS, *([] if listing else [_ROWS])]
        return {"format": _FORMAT, "source": read, "arrays": _array_states(fresh, names), **facts}

    return open_cache(cache, load=load, read=source, write=write, source=data.table, name=str(data.table))


def _cache_of(data: TableData, table: str, digest: str) -> Path:
    """Return the folder of a cache; table and digest may be patterns."""
    name = f"{table}-{digest}"
    return cache_path(data.table, data.table.with_name(f"{name}.cache"), data.cache_folder, name)


def _options(data: TableData) -> dict[str, Any]:
    """Return the options that change the signals or, where the table holds the signals, the rows."""
    options: dict[str, Any] = {"channels": data.channels, "rate": data.rate}
    if is_listed(data):
        return options | {"skip_unreadable": data.skip_unreadable}
    roles = ("id", "time", "values", "target", "group", "split")
    return options | {name: getattr(data, name) for name in roles}


def _states(data: TableData, listing: Listing | None) -> list[Any]:
    """Return what changes with any of the files that hold signals, and with the list of them."""
    if listing is None:
        return [[path.name, file_state(path)] for path, _ in sources_of(data)]
    states: dict[str, Any] = {}
    for row in listing.rows:
        if row.file not in states:
            states[row.file] = [file_state(path) for path in _files_of(row.file) if path.is_file()]
    return [[row.file, row.start, row.stop, states[row.file]] for row in listing.rows]


def _files_of(file: str) -> list[Path]:
    """Return the files of a recording: a WFDB record has two."""
    path = Path(file)
    if path.suffix.lower() in (".hea", ".dat"):
        return [path.with_suffix(".hea"), path.with_suffix(".dat")]
    return [path, path.with_name(f"{path.name}.hea"), path.with_name(f"{path.name}.dat")]


def _digest(value: Any) -> str:
    return blake2b(json.dumps(value).encode(), digest_size=8).hexdigest()


def _array_states(folder: Path, names: list[str]) -> dict[str, dict[str, int]]:
    return {name: file_state(folder / name) for name in sorted(names)}


def _write(fresh: Path, data: TableData, listing: Listing | None) -> dict[str, Any]:
    """Write the arrays recording by recording; return the other facts of the mark."""
    from tqdm import tqdm  # not at the top: needs the training extra

    if listing is None:
        held = read_held(data)
        listing, recordings = held.listing, iter(_at_rate(held.listing.rows, held.recordings, data.rate))
        write_json(fresh / _ROWS, as_json(listing))
    else:
        channels = names_of(data.channels, "channels")
        recordings = read_rows(listing.rows, channels, data.rate, skip=data.skip_unreadable, workers=data.workers)
    harmonise, lengths, kept, skipped = Harmoniser(), list[int](), list[int](), list[tuple[str, str]]()
    bar = tqdm(listing.rows, desc=f"reading {data.table.name}", unit=" recordings", disable=None)
    with open(fresh / _SIGNALS, "wb") as file:  # not a memory map: on a full disk a map kills the process
        for index, (row, recording) in enumerate(zip(bar, recordings, strict=True)):
            if isinstance(recording, Unreadable):
                skipped.append((row.name, recording.reason))
                continue
            signal = harmonise(recording, row.file or row.place)
            file.write(signal.astype("<f4", copy=False).tobytes())
            lengths.append(len(signal))
            kept.append(index)
    if not kept:
        reason = skipped[0][1]
        raise ValueError(f"{data.table}: none of its {len(listing.rows)} recordings can be read; the first: {reason}")
    try:
        harmonise.check_rates()
    except ValueError as error:
        raise ValueError(f"{data.table}: {error}") from None
    np.save(fresh / _OFFSETS, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), allow_pickle=False)
    return {
        "kept": kept,
        "skipped": skipped,
        "channels": harmonise.channels,
        "units": harmonise.units,
        "rate": harmonise.rate,
        "converted": harmonise.converted,
    }


def _at_rate(rows: list[Row], recordings: list[Recording], rate: float | None) -> Iterator[Recording]:
    return (at_rate(recording, rate, row.place) for row, recording in zip(rows, recordings, strict=True))


def _load(cache: Path, mark: dict[str, Any], listing: Listing | None, signals: BinaryIO) -> Signals | None:
    if listing is None:
        listing = from_json(json.loads((cache / _ROWS).read_text(encoding="utf-8")))
    kept = mark["kept"]
    listing = listing._replace(rows=[listing.rows[index] for index in kept])
    channels = tuple(mark["channels"])
    offsets = np.load(cache / _OFFSETS, allow_pickle=False)
    if offsets.dtype != np.int64 or offsets.shape != (len(kept) + 1,):
        return None
    values = np.memmap(signals, "<f4", "r", shape=(int(offsets[-1]), len(channels)))
    skipped = tuple((name, reason) for name, reason in mark["skipped"])
    return Signals(listing, values, offsets, channels, tuple(mark["units"]), mark["rate"], skipped, mark["converted"])
