"""Forecasts from recordings: windows of past and future, split in time."""

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from multiresconv.data.recordings.split import RecordingSplit


class ForecastRow(NamedTuple):
    """Past and future around one origin, in raw units, NaN where a value is missing."""

    past: NDArray[np.float32]  # (time, channels) up to the origin
    future: NDArray[np.float32]  # (horizon, channels) after it
    series: int  # number of the recording
    origin: int  # last time step of the past


class Spans(NamedTuple):
    """The parts of recordings in which forecasts begin: (recordings,) first time step and end of each."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


class ForecastSplit(Dataset[ForecastRow]):
    """Rows of past and future, one for each origin.

    The past may reach back before the span, as in practice; the future lies within it.

    Args:
        recordings: whole recordings.
        spans: of the split, one for each recording.
        context: time steps of the past, fewer at the beginning of a recording.
        horizon: time steps of the future.
        hop: time steps between two origins.
        first_series: number of the first recording in `ForecastRow.series`.

    Attributes:
        lengths: (rows,) time steps of the past of each row.
    """

    def __init__(
        self,
        recordings: RecordingSplit,
        spans: Spans,
        *,
        context: int,
        horizon: int,
        hop: int,
        first_series: int = 0,
    ) -> None:
        self.recordings, self.spans, self.horizon, self.first_series = recordings, spans, horizon, first_series
        series, origins = [], []
        for index, (start, end) in enumerate(zip(spans.starts.tolist(), spans.ends.tolist(), strict=True)):
            last = end - horizon - 1  # the last time step whose future is whole
            first = (
                start - 1 if start else min(context, end - start - horizon) - 1
            )  # at the beginning after one context
            places = np.arange(last, first - 1, -hop)[::-1] if last >= max(first, 0) else np.zeros(0, np.int64)
            series.append(np.full(len(places), index))
            origins.append(places)
        self.series, self.origins = np.concatenate(series), np.concatenate(origins)
        self.lengths: NDArray[np.int64] = np.minimum(self.origins + 1, context)

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: int) -> ForecastRow:
        if not 0 <= index < len(self):
            raise IndexError(f"index: expected 0 to {len(self) - 1}, got {index}")
        series, origin, length = int(self.series[index]), int(self.origins[index]), int(self.lengths[index])
        signal = self.recordings.signal(series)
        past, future = signal[origin + 1 - length : origin + 1], signal[origin + 1 : origin + 1 + self.horizon]
        return ForecastRow(np.array(past), np.array(future), self.first_series + series, origin)

    def name(self, index: int) -> str:
        """Say which origin a row is."""
        return f"{self.recordings.names[int(self.series[index])]}, step {int(self.origins[index]) + 1:,}"

    def checksum(self) -> int:
        """Return the CRC-32 of the recordings and the origins."""
        checksum = self.recordings.checksum()
        for array in (self.series, self.origins, self.lengths):
            checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
        return checksum


def spans_in_time(lengths: NDArray[np.int64], *, val_share: float, test_share: float) -> dict[str, Spans]:
    """Split every recording in time: its beginning is "train", then comes "val", and its end is "test"."""
    test = np.round(lengths * (1 - test_share)).astype(np.int64)
    val = np.round(lengths * (1 - test_share - val_share)).astype(np.int64)
    return {"train": Spans(np.zeros_like(lengths), val), "val": Spans(val, test), "test": Spans(test, lengths)}
