"""Sequential MNIST: the digit that 784 grey pixels show, read row after row, or all in one shuffled order (psMNIST)."""

import numpy as np

from multiresconv.tasks.image_classification import ImageClassification
from multiresconv.tasks.mnist_data import MnistData
from multiresconv.tasks.model_options import PooledModelOptions

# Of the permutation: part of the definition of psMNIST here, since there is no common one.
ORDER_SEED = 0


def smnist(data: MnistData, model: PooledModelOptions) -> ImageClassification:
    """Digits of MNIST read pixel by pixel."""
    return ImageClassification("smnist", data, model)


def psmnist(data: MnistData, model: PooledModelOptions) -> ImageClassification:
    """Digits of MNIST read pixel by pixel in a shuffled order, the same for all."""
    order = np.random.default_rng(ORDER_SEED).permutation(data.side**2)
    return ImageClassification("psmnist", data, model, order=order)
