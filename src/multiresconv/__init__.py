"""Long-sequence modeling with multiresolution convolutional memory.

The parts are imported when they are first used: importing PyTorch takes a second, in which the command line already
has to answer to Ctrl-C.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiresconv.layers import MultiresBlock, MultiresLayer
    from multiresconv.models import (
        MultiresAR,
        MultiresClassifier,
        MultiresForecaster,
        MultiresNet,
        MultiresRegressor,
        MultiresRidge,
        load,
        load_published,
        save,
    )
    from multiresconv.ops import fading, multires_conv, uniform

__version__ = version("multiresconv")

__all__ = [
    "MultiresAR",
    "MultiresBlock",
    "MultiresClassifier",
    "MultiresForecaster",
    "MultiresLayer",
    "MultiresNet",
    "MultiresRegressor",
    "MultiresRidge",
    "__version__",
    "fading",
    "load",
    "load_published",
    "multires_conv",
    "save",
    "uniform",
]

_PARTS = ("layers", "models", "ops")  # each exports some of the names


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return import_module(f"multiresconv.{name}")
    if name in __all__:
        value = next(getattr(part, name) for part in map(__getattr__, _PARTS) if hasattr(part, name))
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PARTS})
