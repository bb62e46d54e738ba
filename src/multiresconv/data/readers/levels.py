"""Doubt images whose brightness is unusual, such as dark ink on white paper for a model of light digits on black."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

UNUSUAL = 1.5  # standard deviations of all pixels between the mean of an image and the usual mean


def doubt_levels(
    images: NDArray[np.uint8], usual: tuple[NDArray[np.float64], NDArray[np.float64]] | None
) -> Iterator[str]:
    """Yield what is doubtful about the brightness of images.

    Args:
        images: (n, L, C) pixels.
        usual: mean and standard deviation (C,) of all pixels of the training images; None if unknown.
    """
    darkest = 1.0 if usual is None else max(1.0, float(usual[0].min()))  # an image whose brightest pixel is no brighter
    for number, image in enumerate(images, start=1):
        which = f"image {number}: " if len(images) > 1 else ""
        if (image == image[:1]).all():
            yield f"{which}all pixels are equal"
        elif image.max() <= darkest:
            yield f"{which}no pixel is above {image.max()}; pixels go from 0 to 255"
        if usual is None:
            continue
        mean, (usual_mean, usual_std) = image.mean(0), usual
        distance = (mean - usual_mean) / usual_std
        if (distance > UNUSUAL).all() or (distance < -UNUSUAL).all():
            brightness, reason = ("brighter", "white paper?") if distance[0] > 0 else ("darker", "inverted?")
            yield (
                f"{which}far {brightness} than usual (mean {mean.mean():.0f}, usual {usual_mean.mean():.0f}): {reason} "
                "It was not inverted"
            )
