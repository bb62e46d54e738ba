"""Caches: folders of arrays derived from source files, rebuilt when they are incomplete or out of date.

A cache is a folder of arrays and a mark, `finished.json`, which is written last and describes the source files. A cache
is rebuilt if its mark is missing, contradicts the arrays, or describes other files. Any number of processes may open
the same cache at once. The modification time of the mark is that of the last opening.
"""

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from multiresconv.data.scratch import scratch_folder
from multiresconv.files import write_json

Found = TypeVar("Found")
Content = TypeVar("Content")
Load = Callable[[dict[str, Any]], Found | None]

_MARK = "finished.json"


def open_cache(
    cache: Path,
    *,
    load: Load[Found],
    read: Callable[[], Content],
    write: Callable[[Path, Content], dict[str, Any]],
    source: Path,
    name: str,
) -> Found:
    """Return the result of `load`, after building the cache if it is missing, damaged or out of date.

    Args:
        cache: folder of the cache.
        load: takes the content of the mark and opens the cache; returns None, or fails (a file is missing, say), if the
            cache must be rebuilt.
        read: reads the source and returns what `write` needs; called before anything is written. It must record the
            state of the source first: if the source changes while it is read, the cache then counts as out of date.
        write: fills an empty folder with arrays and returns the mark.
        source: path of the source, for messages.
        name: name of the source, for messages.

    Raises:
        OSError: the cache cannot be written.
    """
    for _ in range(3):  # again only if other processes replace the same bad cache at the same moment
        found = _load(cache, load)
        if found is not None:
            return found
        _build(cache, load, read(), write, name)
    raise OSError(f"{cache}: not readable although just built; is {source} being written? Try again when it is done")


def cache_path(source: Path, beside: Path, cache_folder: str | Path | None, name: str) -> Path:
    """Return `beside`, or if `cache_folder` is given a path in it that is unique to `source`."""
    if cache_folder is None:
        return beside
    origin = blake2b(os.fsencode(source.resolve()), digest_size=8).hexdigest()
    return Path(cache_folder) / f"{name}-{origin}.cache"


def file_state(path: str | Path) -> dict[str, int]:
    """Return the size, modification time and change time of a file, to detect changes without reading it."""
    status = os.stat(path)
    return {name: getattr(status, f"st_{name}") for name in ("size", "mtime_ns", "ctime_ns")}


def last_used(cache: Path) -> int | None:
    """Return when the cache was last opened, in nanoseconds since 1970; None without a mark."""
    try:
        return os.stat(cache / _MARK).st_mtime_ns
    except OSError:
        return None


def _load(cache: Path, load: Load[Found]) -> Found | None:
    try:
        found = load(json.loads((cache / _MARK).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if found is not None:
        with suppress(OSError):  # the cache may be read-only
            os.utime(cache / _MARK)
    return found


def _build(
    cache: Path, load: Load[Any], content: Content, write: Callable[[Path, Content], dict[str, Any]], name: str
) -> None:
    """Fill a scratch folder, then rename it to `cache`, unless another process was first."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(cache.parent, cache.name) as scratch:
            fresh = scratch / "fresh"
            fresh.mkdir()
            write_json(fresh / _MARK, write(fresh, content))
            try:
                os.rename(fresh, cache)  # fails if `cache` is a folder with files in it
            except OSError:
                if _load(cache, load) is None:
                    with suppress(OSError):  # fails if another process does the same; `open_cache` tries again
                        os.rename(cache, scratch / "old")
                        os.rename(fresh, cache)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(
            f"{cache.parent}: cannot write the cache of {name} here ({error.strerror}); name another folder: "
            "--data.cache_folder of train, --cache_folder of evaluate"
        ) from None
