"""`Forecast`: the next values of users' own recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.data.recordings import (
    ForecastRow,
    ForecastSplit,
    RecordingSet,
    RecordingSplit,
    Spans,
    Statistics,
    TableData,
    open_recordings,
    spans_in_time,
    statistics_of,
)
from multiresconv.data.splits import Split, fingerprint
from multiresconv.models import MultiresForecaster, Output
from multiresconv.tasks.forecasting import forecast, forecast_report, forecast_table, futures, naive_scale
from multiresconv.tasks.naive_forecasts import seasonal_scale
from multiresconv.tasks.recording_options import SizedModelOptions
from multiresconv.tasks.recording_task import STEPS, facts_of, recording_input
from multiresconv.tasks.task import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multiresconv.tasks.forecast_scores import ForecastScores

ORIGINS = 32  # of a training row, spread over the second half of its past
FANS = 4


@dataclass(frozen=True)
class ForecastOptions:
    """What to forecast, and how the forecasts are scored.

    Args:
        horizon: number of time steps to forecast.
        context: time steps of the past that a forecast is trained on; null means eight horizons, at least 64.
        quantiles: increasing probabilities between 0 and 1, or none for a point forecast.
        season: time steps after which the signal repeats itself. The network forecasts how the next season differs from
            the last one, and the scores stand beside those of repeating the last one; 1 means the last value.
        hop: time steps between two origins of the backtest; null means the horizon.
    """

    horizon: int = 24
    context: int | None = None
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    season: int = 1
    hop: int | None = None

    def __post_init__(self) -> None:
        for name in ("horizon", "context", "season", "hop"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"task.{name}: expected at least 1, got {value}")

    @property
    def past(self) -> int:
        return self.context or max(8 * self.horizon, 64, 2 * self.season)


class OriginBatch(NamedTuple):
    """Origins of forecasts: what the model reads, and the fields of `ForecastBatch`."""

    signals: Tensor  # (n, L, C) the past, padded with 0 at the end
    lengths: Tensor  # (n,) int64 time steps of it
    past: Tensor  # (n, L, C) the past, padded with NaN at the beginning
    future: Tensor  # (n, horizon, C)
    scale: Tensor  # (n, C)
    series: Tensor  # (n,) int64
    origin: Tensor  # (n,) int64


class Forecast:
    """Forecast your own recordings: every recording is split in time into training, validation and test."""

    name = "forecast"
    monitor = "loss"
    maximize = False

    def __init__(self, data: TableData, task: ForecastOptions, model: SizedModelOptions) -> None:
        if data.window is not None or data.split is not None or data.group is not None:
            raise ValueError("data: expected no window, split or group: a forecast splits each recording in time")
        if model.bidirectional:
            raise ValueError("model.bidirectional: expected false; a forecaster may not look at what it forecasts")
        self.data, self.task, self.model = data, task, model

    @cached_property
    def recordings(self) -> RecordingSet:
        return open_recordings(replace(self.data, val_share=0.0, test_share=0.0), "none")

    @cached_property
    def statistics(self) -> Statistics:
        """Statistics of the part of the recordings that is trained on."""
        return statistics_of(self.part("train"), self.recordings.channels, self.recordings.units)

    @cached_property
    def scales(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`naive_scale` (C,) over all recordings and `seasonal_scale` (recordings, C), of the training part."""
        part = self.part("train")
        signals = [torch.from_numpy(np.array(part.signal(row))) for row in range(len(part))]
        errors = torch.stack([naive_scale(signal, self.task.horizon, self.task.season) for signal in signals])
        return errors.square().mean(0).sqrt().numpy(), np.stack(
            [seasonal_scale(signal, self.task.season).numpy() for signal in signals]
        )

    @property
    def spans(self) -> dict[str, Spans]:
        lengths = self.recordings.split("train").lengths
        return spans_in_time(lengths, val_share=self.data.val_share, test_share=self.data.test_share)

    def part(self, split: Split) -> RecordingSplit:
        """Return the part of every recording that belongs to a split."""
        whole, span = self.recordings.split("train"), self.spans[split]
        lengths = np.maximum(span.ends - span.starts, 1)
        return RecordingSplit(
            whole.values, whole.starts + span.starts, lengths, whole.targets, whole.names, whole.groups
        )

    def prepare(self, *, may_generate: bool = True) -> None:
        _ = self.recordings

    def fingerprint(self) -> dict[str, Any]:
        return fingerprint(self.open)

    def decided(self) -> dict[str, Any]:
        """Return the plan of the training and what was decided about the recordings."""
        rows, data = len(self.open("train")), self.recordings
        batch_size = min(16, max(4, rows // 12), rows)
        return {
            "epochs": min(max(STEPS // max(rows // batch_size, 1), 10), 100),
            "batch_size": batch_size,
            **facts_of(data, self.statistics),
            "doubts": list(self.statistics.remarks),
            "context": self.task.past,
            "recordings": list(data.recordings),
        }

    def open(self, split: Split) -> ForecastSplit:
        return self._origins(self.recordings.split("train"), self.spans[split], split)

    def open_file(self, path: Path) -> ForecastSplit:
        """Return the origins of all of another table's recordings."""
        opened = open_recordings(replace(self.data, table=path, val_share=0.0, test_share=0.0), "none")
        if opened.channels != self.recordings.channels:
            expected, given = ", ".join(self.recordings.channels), ", ".join(opened.channels)
            raise ValueError(f"file: {path}: expected the channels {expected}, got {given}")
        whole = opened.split("train")
        spans = Spans(np.zeros_like(whole.lengths), whole.lengths)
        return self._origins(whole, spans, str(path), first_series=len(self.scales[1]))  # none that was trained on

    def collate(self, items: Sequence[ForecastRow]) -> OriginBatch:
        lengths = [len(row.past) for row in items]
        signals = np.zeros((len(items), max(lengths), items[0].past.shape[1]), np.float32)
        past = np.full_like(signals, np.nan)
        for at_start, at_end, row in zip(signals, past, items, strict=True):
            at_start[: len(row.past)] = row.past
            at_end[len(at_end) - len(row.past) :] = row.past
        scales = self.scales[1]
        known = [scales[row.series] if row.series < len(scales) else scales.mean(0) for row in items]
        return OriginBatch(
            torch.from_numpy(signals),
            torch.tensor(lengths, device="cpu"),
            torch.from_numpy(past),
            torch.from_numpy(np.stack([row.future for row in items])),
            torch.from_numpy(np.stack(known)),
            torch.tensor([row.series for row in items], device="cpu"),
            torch.tensor([row.origin for row in items], device="cpu"),
        )

    def build(self) -> MultiresForecaster:
        data, task, statistics = self.recordings, self.task, self.statistics
        known = tuple(unit for unit in data.units if unit is not None)
        units = known if len(known) == len(data.units) else ()
        output = Output("forecast", data.channels, units, horizon=task.horizon, quantiles=task.quantiles)
        arguments = self.model.arguments_for(len(self.open("train")), task.past)
        del arguments["pooling"], arguments["bidirectional"]
        arguments |= recording_input(data, statistics, masked=self.model.mask_missing or statistics.has_missing)
        model = MultiresForecaster(
            task.horizon, season=task.season, quantiles=task.quantiles, output=output, **arguments
        )
        if not model.head.weight.is_meta:
            torch.nn.init.zeros_(model.head.weight)  # training starts from the naive forecast
            torch.nn.init.zeros_(model.head.bias)
            assert model.net.standardise is not None
            model.net.standardise.set(torch.from_numpy(statistics.mean), torch.from_numpy(statistics.std))
            model.target_standardise.set(0.0, torch.from_numpy(self.scales[0]))
        return model

    def run(self, model: Any, batch: OriginBatch) -> Outcome:
        signals = batch.signals
        lengths = batch.lengths if int(batch.lengths.min()) < signals.shape[1] else None
        if not model.training:
            return forecast(model, signals, batch.future, lengths)
        steps = self.origins_of(batch.lengths)
        known = torch.cat([signals, batch.future.new_full(batch.future.shape, torch.nan)], dim=1)
        ends = batch.lengths[:, None] + torch.arange(self.task.horizon, device=known.device)
        known[torch.arange(len(known), device=known.device)[:, None], ends] = batch.future
        return forecast(model, signals, futures(known, steps, self.task.horizon), lengths, steps)

    def scores(self) -> "ForecastScores":
        from multiresconv.tasks.forecast_scores import ForecastScores  # torchmetrics takes seconds to import

        task = self.task
        return ForecastScores(task.horizon, len(self.recordings.channels), task.quantiles, task.season)

    def report(self, scores: Mapping[str, Tensor]) -> dict[str, Any]:
        return forecast_report(
            scores, self.recordings.channels, quantiles=self.task.quantiles, season=self.task.season, units=self._units
        )

    def table(self, report: Mapping[str, Any]) -> str:
        return forecast_table(report)

    def figures(self, scores: Mapping[str, Tensor], title: str) -> dict[str, "Figure"]:
        from multiresconv.tasks.forecast_pictures import draw_error_by_step

        return {"horizon": draw_error_by_step(scores, self.recordings.channels, title, self._units)}

    @torch.inference_mode()
    def examples(self, model: Any, rows: ForecastSplit, title: str) -> dict[str, "Figure"]:
        """Draw the forecasts from a few origins, spread over the rows."""
        from multiresconv.tasks.forecast_pictures import Fan, draw_fans

        fans = []
        for index in np.unique(np.linspace(0, len(rows) - 1, FANS).astype(int)).tolist():
            row = rows[index]
            forecasts = model(torch.from_numpy(row.past)[None].to(model.head.weight.device))[0].cpu().numpy()
            fans.append(Fan(row.past, row.future, forecasts, rows.name(index)))
        return {"fan": draw_fans(fans, self.recordings.channels, self.task.quantiles, title, self._units)}

    @property
    def _units(self) -> Sequence[str]:
        return [unit or "" for unit in self.recordings.units] if any(self.recordings.units) else ()

    def _origins(self, whole: RecordingSplit, spans: Spans, name: str, first_series: int = 0) -> ForecastSplit:
        """Return the origins within the spans; training rows lie an eighth of a context apart.

        Raises:
            ValueError: no recording is long enough.
        """
        task = self.task
        hop = max(task.past // 8, 1) if name == "train" else task.hop or task.horizon
        rows = ForecastSplit(whole, spans, context=task.past, horizon=task.horizon, hop=hop, first_series=first_series)
        if not len(rows):
            longest = int((spans.ends - spans.starts).max())
            raise ValueError(
                f"data: {name}: expected a part of more than {task.horizon} time steps, the horizon, to forecast in; "
                f"the longest has {longest}; set a shorter --task.horizon, or other shares"
            )
        return rows

    def origins_of(self, lengths: Tensor) -> Tensor:
        """Return the steps (n, N) of the past to learn forecasts from: spread over the second half, with the last."""
        count = min(ORIGINS, max(int(lengths.min()) // 2, 1))
        share = torch.linspace(0.5, 1.0, count, device=lengths.device) if count > 1 else lengths.new_ones(1).float()
        return ((lengths[:, None] * share).long() - 1).clamp(min=0)
