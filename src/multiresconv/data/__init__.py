"""Data sets: download, generate, verify, read and batch them. Nothing here depends on a model."""

from multiresconv.data.batches import Batch, LengthBuckets, TokenBuckets, collate

__all__ = ["Batch", "LengthBuckets", "TokenBuckets", "collate"]
