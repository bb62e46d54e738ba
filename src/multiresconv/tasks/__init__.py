"""Tasks: each defines its data, model, loss and scores. Nothing here depends on the training loop."""

from multiresconv.tasks.cifar_density import CifarDensity, MixtureOptions
from multiresconv.tasks.classify import Classify, ClassifyOptions
from multiresconv.tasks.forecast_task import Forecast, ForecastOptions
from multiresconv.tasks.image_classification import ImageClassification
from multiresconv.tasks.label import Label, LabelOptions
from multiresconv.tasks.listops import ListOps, ListOpsData
from multiresconv.tasks.model_options import ModelOptions, PooledModelOptions
from multiresconv.tasks.ptbxl import PtbXl, PtbXlData, PtbXlLabels
from multiresconv.tasks.recording_options import RecordingModelOptions
from multiresconv.tasks.recording_task import RecordingBatch, RecordingTask
from multiresconv.tasks.regress import Regress
from multiresconv.tasks.scifar import scifar
from multiresconv.tasks.smnist import psmnist, smnist
from multiresconv.tasks.task import FitsAtOnce, Outcome, Task

__all__ = [
    "CifarDensity",
    "Classify",
    "ClassifyOptions",
    "FitsAtOnce",
    "Forecast",
    "ForecastOptions",
    "ImageClassification",
    "Label",
    "LabelOptions",
    "ListOps",
    "ListOpsData",
    "MixtureOptions",
    "ModelOptions",
    "Outcome",
    "PooledModelOptions",
    "PtbXl",
    "PtbXlData",
    "PtbXlLabels",
    "RecordingBatch",
    "RecordingModelOptions",
    "RecordingTask",
    "Regress",
    "Task",
    "psmnist",
    "scifar",
    "smnist",
]
