"""Whole networks, and how they are stored."""

from multiresconv.models.classifier import MultiresClassifier
from multiresconv.models.files import load, save
from multiresconv.models.net import MultiresNet
from multiresconv.models.published import load_published

__all__ = ["MultiresClassifier", "MultiresNet", "load", "load_published", "save"]
