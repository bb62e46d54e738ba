"""Labelled images as pixel sequences, as the readers of MNIST and CIFAR-10 return them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size, each a sequence of pixels: rows from top to bottom, each row from left to right.

    Args:
        pixels: (n, side * side, channels) uint8; one channel for grey images; red, green, blue for coloured ones.
        labels: (n,) uint8.
        side: height and width in pixels.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    side: int

    def __len__(self) -> int:
        return len(self.labels)
