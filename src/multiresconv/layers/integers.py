"""`is_integral`: tells whether a tensor holds integers."""

import torch
from torch import Tensor


def is_integral(x: Tensor) -> bool:
    """Return True if x has a signed or unsigned integer dtype; booleans are no integers."""
    return not (x.is_floating_point() or x.is_complex() or x.dtype == torch.bool)
