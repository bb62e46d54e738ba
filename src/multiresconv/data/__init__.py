"""Data sets: find, generate, verify, read and batch them; knows no model."""

from multiresconv.data.batches import Batch, LengthBuckets, collate

__all__ = ["Batch", "LengthBuckets", "collate"]
