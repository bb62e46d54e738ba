"""`MultiresForecaster`: forecasts the next values of a signal at every step, as quantiles."""

from collections.abc import Sequence
from operator import index
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from multiresconv.layers import Standardise, pool
from multiresconv.layers.lengths import Lengths, check_lengths
from multiresconv.layers.missing import hold_last
from multiresconv.layers.stream import StreamParts
from multiresconv.models.config import check_sizes
from multiresconv.models.description import Input, Output, numbered
from multiresconv.models.net import MultiresNet
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.ops import Backend, State
from multiresconv.ops.streaming import check_state_tensor


class MultiresForecaster(SequenceModel):
    """A `MultiresNet` and a linear map to the next `horizon` values: (B, L, d_input) -> (B, horizon, C, Q).

    Whole sequences give the forecast from the last valid step. With a state, and by `every_step`, each step gives a
    forecast, since the net is causal. All steps of the horizon are forecast at once.

    A forecast is the seasonal naive forecast plus `target_standardise.std` times the linear map's output, so it has the
    signal's own units and follows shifts of level. The seasonal naive forecast of a step is the value a whole number of
    seasons before it, the latest that is known; with a season of 1 it is the last value. Set the scale, for example to
    the typical error of the naive forecast, by `model.target_standardise.set(0.0, std)`; a mean other than 0 is added
    to all forecasts.

    The Q outputs per value are the quantiles. The one nearest to 0.5 is the map's output itself. The others lie above
    and below it at distances that are cumulative sums of softplus, so quantiles never cross. Without quantiles Q is 1,
    a point forecast.

    Missing values: with `mask_missing` the input may be NaN. In the naive forecast the value before takes the place of
    a missing one, and the mean of `net.standardise` that of values before the first one. In a stream `state["last"]`
    (B, season, C) keeps the values of the last season.

    Args:
        horizon: number of steps to forecast.
        season: steps after which the signal repeats itself; 1 if it does not.
        d_model: width of the blocks.
        n_layers: number of blocks.
        d_input: channels of the input.
        n_channels: number C of forecast channels, the first ones of the input; default all.
        quantiles: increasing probabilities between 0 and 1; empty for a point forecast.
        input: description of the input; default a signal with unnamed channels.
        output: description of the output; default a forecast of the input's first C channels, in its unit.
        backend: where the blocks run; see `multires_conv`.
        **options: the other fields of `NetConfig`: kernel_size, wavelet, depth, max_length, memory, own_skip_init,
            dropout, norm, norm_first, mask_missing. Not bidirectional: the net would see the values that it forecasts.

    Example:
        >>> model = MultiresForecaster(24, d_model=32, n_layers=2, d_input=3, max_length=1024)
        >>> model(torch.randn(8, 1024, 3)).shape
        torch.Size([8, 24, 3, 3])
    """

    def __init__(
        self,
        horizon: int,
        d_model: int,
        n_layers: int,
        *,
        d_input: int,
        season: int = 1,
        n_channels: int | None = None,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        input: Input | None = None,
        output: Output | None = None,
        backend: Backend = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        horizon, season, d_input = index(horizon), index(season), index(d_input)
        for name, size in {"horizon": horizon, "season": season}.items():
            if size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        n_channels = d_input if n_channels is None else index(n_channels)
        if not 1 <= n_channels <= d_input:
            raise ValueError(f"n_channels: expected 1 to {d_input}, got {n_channels}")
        if options.get("bidirectional"):
            raise ValueError("bidirectional: expected False; a forecaster may not look at what it forecasts")
        probabilities = tuple(float(q) for q in quantiles)
        check_sizes(horizon=horizon, season=season, d_output=horizon * n_channels * max(len(probabilities), 1))
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        net = MultiresNet(d_model, n_layers, d_input=d_input, backend=backend, **where, **options)
        input = input or Input("signal", numbered("channel", d_input))
        names, units = input.names[:n_channels], () if input.unit is None else (input.unit,) * n_channels
        usual = Output("forecast", names, units, horizon=horizon, quantiles=probabilities)  # checks the quantiles
        output = output or usual
        if len(output.names) != n_channels:
            raise ValueError(f"output: expected {n_channels} names, got {len(output.names)}")
        if (output.horizon, output.quantiles) != (horizon, probabilities):
            raise ValueError(
                f"output: expected horizon {horizon} and quantiles {probabilities}, "
                f"got {output.horizon} and {output.quantiles}"
            )
        super().__init__(net, horizon * n_channels * max(len(probabilities), 1), input, output, **where)
        self.target_standardise = Standardise(n_channels, **where)
        self.horizon, self.season, self.n_channels, self.quantiles = horizon, season, n_channels, probabilities
        self.mask_missing = bool(self.net.config["mask_missing"])
        self._state_names = ("last",) if self.mask_missing or season > 1 else ()

    @property
    def config(self) -> dict[str, Any]:
        net = self.net.config
        for name in ("n_tokens", "projection", "bidirectional"):
            del net[name]
        own = {"horizon": self.horizon, "season": self.season, "n_channels": self.n_channels}
        return {**own, "quantiles": list(self.quantiles), **net}

    def every_step(
        self, x: Tensor, lengths: Lengths | None = None, steps: Sequence[int] | Tensor | None = None
    ) -> Tensor:
        """Return the forecasts from the steps of whole sequences, for training on every origin of a window at once.

        Args:
            x: (B, L, d_input).
            lengths: (B,) valid steps of each sequence; None if all are valid. See `forward`.
            steps: indices of the steps to forecast from, (N,) for all sequences or (B, N); default all L. Only these
                pass through the linear map, whose outputs take horizon * C * Q numbers a step.

        Returns:
            Forecasts (B, N, horizon, C, Q), arbitrary from padded steps.

        Raises:
            IndexError: a step is not one of the L.
            ValueError: input, lengths or steps have the wrong shape.
        """
        self._check(x, time=("length >= 1",))
        features, recent = self.net(x, lengths), self._recent(x, None)
        if steps is not None:
            chosen = torch.as_tensor(steps, device=features.device)
            if chosen.ndim not in (1, 2) or (chosen.ndim == 2 and chosen.shape[0] != x.shape[0]):
                raise ValueError(f"steps: expected shape (N,) or ({len(x)}, N), got {tuple(chosen.shape)}")
            rows = torch.arange(x.shape[0], device=features.device)[:, None]
            features, recent = features[rows, chosen], recent[rows, chosen]
        return self._forecast(self.head(features), recent)

    def stream_parts(self) -> StreamParts | str:
        parts = super().stream_parts()
        if isinstance(parts, str) or type(self) is not MultiresForecaster:
            return parts if isinstance(parts, str) else f"the model is a {type(self).__name__}"
        scale = self.target_standardise
        if type(scale) is not Standardise:
            return f"target_standardise is a {type(scale).__name__}"
        return parts._replace(finish=self._finish, watched=(scale.mean, scale.std))

    def _start(self, batch_size: int) -> State:
        return {"last": self._mean().repeat(batch_size, self.season, 1)} if self._state_names else {}

    def _whole(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        features, recent = self.net(x, lengths), self._recent(x, None)
        if lengths is None:
            return self._forecast(self.head(features[:, -1]), recent[:, -1])
        lengths = check_lengths(lengths, features)
        rows = torch.arange(features.shape[0], device=features.device)
        return self._forecast(self.head(pool(features, lengths, "last")), recent[rows, lengths - 1])

    def _chunk(self, x: Tensor, features: Tensor, state: State) -> tuple[Tensor, State]:
        if self._state_names:
            mean, shape = self._mean(), (state["lines"].shape[0], self.season, self.n_channels)
            check_state_tensor("last", state["last"], shape, mean.dtype, mean.device)
        recent = self._recent(x, state.get("last"))
        after = {"last": recent[:, -1].mT.clone()} if self._state_names else {}
        return self._forecast(self.head(features), recent), after

    @torch.no_grad()
    def _finish(self, y: Tensor, x: Tensor, state: State, rows: Tensor) -> Tensor:
        """Turn outputs of the linear map (n, P) or (n, L, P) into forecasts; see `StreamParts`."""
        recent = self._recent(x.unsqueeze(1) if x.ndim == 2 else x, state["last"][rows] if self._state_names else None)
        if self._state_names:
            state["last"][rows] = recent[:, -1].mT
        return self._forecast(y, recent.squeeze(1) if x.ndim == 2 else recent)

    def _mean(self) -> Tensor:
        """Return the values (C,) that stand for those before the first value that is there."""
        assert self.net.standardise is not None
        return self.net.standardise.mean[: self.n_channels]

    def _recent(self, x: Tensor, last: Tensor | None) -> Tensor:
        """Return the values (B, L, C, season) of the forecast channels in the season up to each step of x.

        `last` (B, season, C) are those before x; None at the start of the sequences. A value that is not there is
        replaced by the one before.
        """
        mean = self._mean()
        values = x[..., : self.n_channels].to(mean.dtype)
        if last is None:
            last = mean.expand(x.shape[0], self.season, -1)
        if self.mask_missing:
            values = hold_last(values, last[:, -1:])
        return torch.cat([last, values], dim=1).unfold(1, self.season, 1)[:, 1:]

    def _forecast(self, y: Tensor, recent: Tensor) -> Tensor:
        """Turn outputs of the linear map (..., P) and recent values (..., C, season) into (..., horizon, C, Q)."""
        y = _ordered(y.unflatten(-1, (self.horizon, self.n_channels, -1)), self.quantiles)
        ahead = torch.arange(self.horizon, device=y.device) % self.season
        naive = recent.index_select(-1, ahead).mT  # (..., horizon, C)
        return self.target_standardise.undo(y.mT).add(naive.unsqueeze(-2)).mT


def _ordered(y: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """Turn any numbers (..., Q) into increasing ones: the middle one is kept, the others are steps away from it."""
    if len(quantiles) < 2:
        return y
    middle = min(range(len(quantiles)), key=lambda i: abs(quantiles[i] - 0.5))
    centre, steps = y[..., middle : middle + 1], F.softplus(y)
    above = centre + steps[..., middle + 1 :].cumsum(-1)
    below = centre - steps[..., :middle].flip(-1).cumsum(-1).flip(-1)
    return torch.cat([below, centre, above], dim=-1)
