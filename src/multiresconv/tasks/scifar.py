"""Sequential CIFAR-10: classify a colour image that is read as 1024 pixels."""

from multiresconv.tasks.cifar_data import CifarData
from multiresconv.tasks.image_classification import ImageClassification
from multiresconv.tasks.model_options import PooledModelOptions


def scifar(data: CifarData, model: PooledModelOptions) -> ImageClassification:
    """Classify CIFAR-10 images pixel by pixel. Defaults are the paper's unless --recipe or --config is given."""
    return ImageClassification("scifar", data, model)
