"""Sequential MNIST: classify a digit read as 784 grey pixels, row by row or in a fixed shuffled order (psMNIST)."""

import numpy as np

from multiresconv.tasks.image_classification import ImageClassification
from multiresconv.tasks.mnist_data import MnistData
from multiresconv.tasks.model_options import PooledModelOptions

# Seed of the permutation. It defines psMNIST here, since there is no standard permutation.
ORDER_SEED = 0


def smnist(data: MnistData, model: PooledModelOptions) -> ImageClassification:
    """Classify MNIST digits, read pixel by pixel."""
    return ImageClassification("smnist", data, model)


def psmnist(data: MnistData, model: PooledModelOptions) -> ImageClassification:
    """Classify MNIST digits, read pixel by pixel in a fixed shuffled order."""
    order = np.random.default_rng(ORDER_SEED).permutation(data.side**2)
    return ImageClassification("psmnist", data, model, order=order)
