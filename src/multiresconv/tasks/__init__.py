"""Tasks: each names its data, model, loss and scores; knows nothing of how training is run."""

from multiresconv.tasks.cifar_density import CifarDensity, DensityOptions
from multiresconv.tasks.image_classification import ImageClassification
from multiresconv.tasks.listops import ListOps, ListOpsData
from multiresconv.tasks.model_options import ClassifierOptions
from multiresconv.tasks.ptbxl import PtbXl, PtbXlData, PtbXlLabels
from multiresconv.tasks.scifar import scifar
from multiresconv.tasks.smnist import psmnist, smnist
from multiresconv.tasks.task import Labelling, Outcome, Task

__all__ = [
    "CifarDensity",
    "ClassifierOptions",
    "DensityOptions",
    "ImageClassification",
    "Labelling",
    "ListOps",
    "ListOpsData",
    "Outcome",
    "PtbXl",
    "PtbXlData",
    "PtbXlLabels",
    "Task",
    "psmnist",
    "scifar",
    "smnist",
]
