"""Whole networks, and how they are stored."""

from multiresconv.models.autoregressive import MultiresAR
from multiresconv.models.classifier import MultiresClassifier
from multiresconv.models.files import load, save
from multiresconv.models.net import MultiresNet
from multiresconv.models.published import load_published
from multiresconv.models.sampling import sample

__all__ = ["MultiresAR", "MultiresClassifier", "MultiresNet", "load", "load_published", "sample", "save"]
