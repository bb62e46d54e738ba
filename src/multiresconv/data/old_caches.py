"""Delete the caches of a source that were not used for longest, so that they do not pile up."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from multiresconv.data.cache import last_used
from multiresconv.data.scratch import scratch_folder
from multiresconv.locks import unshared


def delete_old_caches(caches: Iterable[Path], *, shared: str, keep: int) -> None:
    """Delete all but the `keep` caches that were used last, and those that a process has open.

    A cache that cannot be deleted stays. A process that is about to open a deleted one builds it anew.

    Args:
        caches: folders of caches; those without a mark stay.
        shared: name of the file in a cache on which a process that has it open holds a shared lock.
        keep: number of caches.
    """
    used = {cache: time for cache in caches if (time := last_used(cache)) is not None}
    for cache in sorted(used, key=lambda cache: used[cache], reverse=True)[keep:]:
        with (
            suppress(OSError),
            unshared(cache / shared),
            scratch_folder(cache.parent, cache.name) as scratch,
        ):
            os.rename(cache, scratch / "old")  # at once, so that nobody opens a half deleted cache
