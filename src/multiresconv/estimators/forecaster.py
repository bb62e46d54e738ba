"""`SequenceForecaster`: forecasts the next values of series."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from multiresconv.data.recordings.arrays import recordings_in_memory
from multiresconv.data.recordings.options import TableData
from multiresconv.data.recordings.targets import Targets
from multiresconv.estimators.network import Plan, train_network
from multiresconv.estimators.outputs import outputs_of, running
from multiresconv.estimators.sequences import Sequences, read_sequences
from multiresconv.models import save
from multiresconv.tasks import Forecast, ForecastOptions
from multiresconv.tasks.forecast_measures import middle


class SequenceForecaster(BaseEstimator):
    """Forecasts the next `horizon` values of all channels of series, as quantiles.

    One network learns from all series, from every step of their past. The end of each series chooses its best epoch.

    Args:
        horizon: number of time steps to forecast.
        quantiles: increasing probabilities between 0 and 1; empty for a point forecast.
        season: time steps after which the series repeat themselves, such as 24 for a daily pattern in hourly values.
            The network learns what to add to the last season; 1 means to the last value.
        context: time steps of the past that a forecast is trained on; None means eight horizons, at least 64.
        d_model, n_layers, epochs, batch_size, lr, patience, time_limit, random_state, verbose: see
            `SequenceClassifier`.
        validation_share: share of the end of each series that the network does not train on.

    Attributes:
        model_: the trained `MultiresForecaster`.
        n_channels_in_: number of channels.

    Example:
        >>> forecaster = SequenceForecaster(24, random_state=0).fit(series)  # (channels, time), or a list of such
        >>> forecaster.predict().shape  # (n, channels, horizon), after the end of each series
        (2, 3, 24)
        >>> forecaster.predict_quantiles(other).shape  # (n, channels, horizon, quantiles), after the end of others
        (1, 3, 24, 3)
    """

    def __init__(
        self,
        horizon: int = 24,
        *,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        season: int = 1,
        context: int | None = None,
        d_model: int | None = None,
        n_layers: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float = 3e-3,
        patience: int | None = 50,
        validation_share: float = 0.15,
        time_limit: float | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.horizon = horizon
        self.quantiles = quantiles
        self.season = season
        self.context = context
        self.d_model = d_model
        self.n_layers = n_layers
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.patience = patience
        self.validation_share = validation_share
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to series: one (time,) or (channels, time), or several as in `read_sequences`; y is ignored.

        Raises:
            ValueError: no series is long enough for training and validation.
        """
        if not 0 < self.validation_share < 1:
            raise ValueError(f"validation_share: expected between 0 and 1, got {self.validation_share}")
        self.series_ = _series(X)
        self.n_channels_in_ = len(self.series_[0])
        seed = int(check_random_state(self.random_state).randint(2**31))
        plan = Plan.of(self)
        options = ForecastOptions(self.horizon, self.context, tuple(self.quantiles), season=self.season)
        task = Forecast(TableData(val_share=self.validation_share, test_share=0.0), options, plan.model(norm="layer"))
        nothing = Targets("none", (), np.zeros((len(self.series_), 0), np.float32))
        task.recordings = recordings_in_memory(self.series_, nothing, val_share=0.0, seed=seed)
        self.model_ = train_network(task, plan, seed=seed, verbose=self.verbose).model
        return self

    def predict(self, X: Any = None) -> NDArray[np.float64]:
        """Return the quantile nearest to 0.5 (n, channels, horizon) after the end of each series of X.

        Args:
            X: series as in `fit`; None means those that it was fitted to.
        """
        return self.predict_quantiles(X)[..., middle(tuple(self.quantiles))]

    def predict_quantiles(self, X: Any = None) -> NDArray[np.float64]:
        """Return the quantiles (n, channels, horizon, quantiles) after the end of each series; see `predict`."""
        check_is_fitted(self)
        series = self.series_ if X is None else _series(X, self.n_channels_in_)
        return outputs_of(self.model_, series).swapaxes(1, 2)

    def stream(self) -> Callable[[ArrayLike], NDArray[np.float64]]:
        """Return a function that takes a step (channels,) or a chunk (channels, t) of one series.

        It returns the quantiles (channels, horizon, quantiles) after it.
        """
        check_is_fitted(self)
        answer = running(self.model_)
        return lambda x: answer(x).swapaxes(0, 1)

    def save(self, folder: str | PathLike[str]) -> None:
        """Save the network as a model folder, which `multiresconv.load` reads."""
        check_is_fitted(self)
        save(self.model_, folder)


def _series(X: Any, channels: int | None = None) -> Sequences:
    """Return series as arrays (channels, time); a single one may stand alone."""
    if isinstance(X, np.ndarray) and X.dtype != object and X.ndim < 3:
        X = [np.atleast_2d(X)]
    return read_sequences(X, channels=channels)
