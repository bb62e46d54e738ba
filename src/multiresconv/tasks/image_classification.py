"""Classification of images read pixel by pixel: what sCIFAR, sMNIST and psMNIST have in common."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multiresconv.data.readers.images import read_images, read_pixels
from multiresconv.models import MultiresClassifier
from multiresconv.tasks.classification import Classification, classify
from multiresconv.tasks.image_rows import ImageBatch, ImageData, ImageRows, ImageTask
from multiresconv.tasks.network_options import NetworkOptions
from multiresconv.tasks.task import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ImageClassification(ImageTask, Classification):
    """The task `name`: each image is a sequence of pixels, normalised by channel, without augmentation.

    Args:
        name: of the task on the command line.
        data: the images.
        model: the classifier.
        order: (pixels,) which pixel is read at each step; None is row after row.
    """

    def __init__(
        self, name: str, data: ImageData, model: NetworkOptions, *, order: NDArray[np.int64] | None = None
    ) -> None:
        self.name, self.data, self.model = name, data, model
        self.classes = data.classes
        self.order = None if order is None else torch.from_numpy(order)

    def read_inputs(self, path: Path) -> Iterator[tuple[NDArray[np.uint8], int]]:
        """Pixels of each image, with label 0 since none is known."""
        return ((pixels, 0) for pixels in read_images(path, self.data.side, len(self.data.mean)))

    def read_steps(self, lines: Iterable[str]) -> Iterator[Tensor]:
        """A pixel a line, in the order in which this task reads them."""
        for pixel in read_pixels(lines, len(self.data.mean)):
            yield self._normalised(torch.from_numpy(pixel), torch.float32)

    def build(self) -> MultiresClassifier:
        return MultiresClassifier(len(self.classes), d_input=len(self.data.mean), **asdict(self.model))

    def run(self, model: nn.Module, batch: ImageBatch) -> Outcome:
        pixels = batch.pixels if self.order is None else batch.pixels[:, self.order.to(batch.pixels.device)]
        x = self._normalised(pixels, next(model.parameters()).dtype)
        return classify(model(x), batch.labels)

    def _normalised(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        mean, std = (pixels.new_tensor(values, dtype=dtype) for values in (self.data.mean, self.data.std))
        return (pixels.to(dtype) / 255 - mean) / std

    def examples(self, model: nn.Module, rows: ImageRows, title: str) -> dict[str, "Figure"]:
        """The first images with what the model takes them for."""
        from multiresconv.tasks.image_pictures import draw_labelled

        batch = self.collate([rows[i] for i in range(min(len(rows), 40))])
        device = next(model.parameters()).device
        with torch.inference_mode():
            outcome = self.run(model, ImageBatch(batch.pixels.to(device), batch.labels.to(device)))
            probabilities = self.probabilities(outcome.outputs).cpu()
        pixels = batch.pixels.numpy().reshape(len(batch.labels), self.data.side, self.data.side, -1)
        return {"examples": draw_labelled(pixels, batch.labels, probabilities, self.classes, title)}
