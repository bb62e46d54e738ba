"""Users' own recordings as a data set, listed in a table of labels or held in one file."""

from multiresconv.data.recordings.open import RecordingSet, open_recordings
from multiresconv.data.recordings.options import TableData
from multiresconv.data.recordings.origins import ForecastRow, ForecastSplit, Spans, spans_in_time
from multiresconv.data.recordings.split import RecordingSplit
from multiresconv.data.recordings.statistics import Statistics, statistics_of
from multiresconv.data.recordings.targets import TargetKind, Targets

__all__ = [
    "ForecastRow",
    "ForecastSplit",
    "RecordingSet",
    "RecordingSplit",
    "Spans",
    "Statistics",
    "TableData",
    "TargetKind",
    "Targets",
    "open_recordings",
    "spans_in_time",
    "statistics_of",
]
