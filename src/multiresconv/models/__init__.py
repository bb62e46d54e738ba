"""Complete models, sampling, and model folders."""

from multiresconv.models.autoregressive import MultiresAR
from multiresconv.models.begin_stream import begin_stream
from multiresconv.models.classifier import MultiresClassifier
from multiresconv.models.config import NetConfig
from multiresconv.models.description import Input, Missing, Output
from multiresconv.models.fading_mean import FadingMean
from multiresconv.models.features import MultiresFeatures
from multiresconv.models.files import load, load_model, save
from multiresconv.models.forecaster import MultiresForecaster
from multiresconv.models.init_from import init_from
from multiresconv.models.net import MultiresNet
from multiresconv.models.published import load_published
from multiresconv.models.regressor import MultiresRegressor
from multiresconv.models.ridge import MultiresRidge
from multiresconv.models.sampling import sample
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.models.sequence_parallel import sequence_parallel

__all__ = [
    "FadingMean",
    "Input",
    "Missing",
    "MultiresAR",
    "MultiresClassifier",
    "MultiresFeatures",
    "MultiresForecaster",
    "MultiresNet",
    "MultiresRegressor",
    "MultiresRidge",
    "NetConfig",
    "Output",
    "SequenceModel",
    "begin_stream",
    "init_from",
    "load",
    "load_model",
    "load_published",
    "sample",
    "save",
    "sequence_parallel",
]
