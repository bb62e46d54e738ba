"""Classification of images read pixel by pixel, for sCIFAR, sMNIST and psMNIST."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from multiresconv.models import MultiresClassifier, Output
from multiresconv.tasks.classification import Classification, classify
from multiresconv.tasks.image_rows import ImageBatch, ImageData, ImageRows, ImageTask, image_input
from multiresconv.tasks.model_options import PooledModelOptions, standardise
from multiresconv.tasks.task import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ImageClassification(ImageTask, Classification):
    """Classify images as sequences of pixels, standardised per channel, without augmentation.

    Args:
        name: name of the task on the command line.
        data: options of the images.
        model: options of the classifier.
        order: (pixels,) index of the pixel read at each step; None reads row by row.
    """

    def __init__(
        self, name: str, data: ImageData, model: PooledModelOptions, *, order: NDArray[np.int64] | None = None
    ) -> None:
        self.name, self.data, self.model = name, data, model
        self.classes = data.classes
        self.order = order

    def build(self) -> MultiresClassifier:
        model = MultiresClassifier(
            len(self.classes),
            d_input=len(self.data.mean),
            input=image_input(self.data, self.order),
            output=Output("class", self.classes),
            **self.model.arguments(),
        )
        mean, std = (
            255 * torch.tensor(values, dtype=torch.float64, device="cpu") for values in (self.data.mean, self.data.std)
        )
        standardise(model, mean, std)
        return model

    def run(self, model: nn.Module, batch: ImageBatch) -> Outcome:
        pixels = batch.pixels if self.order is None else batch.pixels[:, torch.from_numpy(self.order)]
        return classify(model(pixels), batch.labels)

    def examples(self, model: nn.Module, rows: ImageRows, title: str) -> dict[str, "Figure"]:
        """Draw the first images with the predicted classes."""
        from multiresconv.tasks.image_pictures import draw_labelled

        batch = self.collate([rows[i] for i in range(min(len(rows), 40))])
        device = next(model.parameters()).device
        with torch.inference_mode():
            outcome = self.run(model, ImageBatch(batch.pixels.to(device), batch.labels.to(device)))
            probabilities = outcome.outputs.softmax(1).cpu()
        pixels = batch.pixels.numpy().reshape(len(batch.labels), self.data.side, self.data.side, -1)
        return {"examples": draw_labelled(pixels, batch.labels, probabilities, self.classes, title)}
