"""Sequential CIFAR-10: the class of a coloured image, read pixel by pixel, 1024 of them."""

from multiresconv.tasks.cifar_data import CifarData
from multiresconv.tasks.image_classification import ImageClassification
from multiresconv.tasks.model_options import PooledModelOptions


def scifar(data: CifarData, model: PooledModelOptions) -> ImageClassification:
    """Images of CIFAR-10 read pixel by pixel; without --recipe and --config as in the paper."""
    return ImageClassification("scifar", data, model)
