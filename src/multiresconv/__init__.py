"""Long-sequence modeling with multiresolution convolutional memory."""

from importlib.metadata import version

from multiresconv.layers import MultiresBlock, MultiresLayer
from multiresconv.models import MultiresAR, MultiresClassifier, MultiresNet, load, load_published, save
from multiresconv.ops import fading, multires_conv, uniform

__version__ = version("multiresconv")

__all__ = [
    "MultiresAR",
    "MultiresBlock",
    "MultiresClassifier",
    "MultiresLayer",
    "MultiresNet",
    "__version__",
    "fading",
    "load",
    "load_published",
    "multires_conv",
    "save",
    "uniform",
]
