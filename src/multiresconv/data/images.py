"""Labelled images as sequences: what the readers of MNIST and CIFAR-10 give."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size, each a sequence of pixels: row after row from the top, each row from the left.

    Args:
        pixels: (n, side * side, channels) uint8, one channel for grey images, red, green, blue for coloured ones.
        labels: (n,) uint8.
        side: height and width in pixels.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    side: int

    def __len__(self) -> int:
        return len(self.labels)
