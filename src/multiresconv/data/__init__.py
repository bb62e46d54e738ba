"""Data sets: download, generate, verify, read and batch them. Nothing here depends on a model.

Batches are imported when they are first used: processes that only read files start without PyTorch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiresconv.data.batches import Batch, LengthBuckets, TokenBuckets, collate

__all__ = ["Batch", "LengthBuckets", "TokenBuckets", "collate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from multiresconv.data import batches

        return getattr(batches, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
