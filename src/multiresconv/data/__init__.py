"""Data sets: find, generate, verify, read and batch them; knows no model."""

from multiresconv.data.batches import Batch, LengthBuckets, TokenBuckets, collate

__all__ = ["Batch", "LengthBuckets", "TokenBuckets", "collate"]
