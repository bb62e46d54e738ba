"""Caches: folders made of other files once, which prove that they are whole and still of these files.

A cache is a folder of arrays and `finished.json`, written last, which says what the cache was made of. A cache without
this mark, or at odds with it, or made of other files, is made anew. Any number of processes may open one at once.
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
    """What `load` makes of the cache, which is built first unless it is there and sound.

    Args:
        cache: the folder.
        load: takes what the mark says; None, or an error such as a missing file gives, means that the cache is no good.
        read: gives what `write` needs; called before anything is written. What it says of the state of the source, it
            looks up before it reads: then a file that changes meanwhile leaves a stale cache, not a false one.
        write: fills an empty folder with arrays, and gives the mark.
        source: what the cache is made of, for messages.
        name: of the source, for messages.

    Raises:
        OSError: the cache cannot be written.
    """
    for _ in range(3):  # more than once only where other processes replace the same bad cache in the same instant
        found = _load(cache, load)
        if found is not None:
            return found
        _build(cache, load, read(), write, name)
    raise OSError(f"{cache}: not readable although just built; is {source} being written? Try again when it is not")


def cache_path(source: Path, beside: Path, cache_folder: str | Path | None, name: str) -> Path:
    """`beside`, or the place of the cache of `source` in a folder that may hold those of many sources of this name."""
    if cache_folder is None:
        return beside
    origin = blake2b(os.fsencode(source.resolve()), digest_size=8).hexdigest()
    return Path(cache_folder) / f"{name}-{origin}.cache"


def file_state(path: str | Path) -> dict[str, int]:
    """What tells one state of a file from another without reading it."""
    status = os.stat(path)
    return {name: getattr(status, f"st_{name}") for name in ("size", "mtime_ns", "ctime_ns")}


def _load(cache: Path, load: Load[Found]) -> Found | None:
    try:
        return load(json.loads((cache / _MARK).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _build(
    cache: Path, load: Load[Any], content: Content, write: Callable[[Path, Content], dict[str, Any]], name: str
) -> None:
    """Fill a folder of our own, then put it in place, unless another process was first."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(cache.parent, cache.name) as scratch:
            fresh = scratch / "fresh"
            fresh.mkdir()
            write_json(fresh / _MARK, write(fresh, content))
            try:
                os.rename(fresh, cache)  # fails where there is a folder with files in it
            except OSError:
                if _load(cache, load) is None:
                    with suppress(OSError):  # a failure is another process doing the same; `open_cache` looks again
                        os.rename(cache, scratch / "old")
                        os.rename(fresh, cache)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(
            f"{cache.parent}: cannot write the cache of {name} here ({error.strerror}); name another folder: "
            "--data.cache_folder of train, --cache_folder of evaluate"
        ) from None
