"""Estimators with scikit-learn's interface for sequences of any length."""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    from multiresconv.installation import how_to_install

    raise ImportError(f"multiresconv.estimators: scikit-learn is missing: {how_to_install('estimators')}") from error

from multiresconv.estimators.classifier import SequenceClassifier
from multiresconv.estimators.early import Prediction, PredictionStream
from multiresconv.estimators.features import FeatureStream, SequenceFeatures
from multiresconv.estimators.forecaster import SequenceForecaster
from multiresconv.estimators.regressor import SequenceRegressor
from multiresconv.estimators.ridge import (
    ClassifierStream,
    Judgement,
    RegressorStream,
    SequenceRidgeClassifier,
    SequenceRidgeRegressor,
)

__all__ = [
    "ClassifierStream",
    "FeatureStream",
    "Judgement",
    "Prediction",
    "PredictionStream",
    "RegressorStream",
    "SequenceClassifier",
    "SequenceFeatures",
    "SequenceForecaster",
    "SequenceRegressor",
    "SequenceRidgeClassifier",
    "SequenceRidgeRegressor",
]
