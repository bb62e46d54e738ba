"""What the tasks on users' own recordings share: data, batches, the size of the network and the length of training."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.data.batches import padded_length
from multiresconv.data.recordings import (
    RecordingSet,
    RecordingSplit,
    Statistics,
    TableData,
    TargetKind,
    open_recordings,
    statistics_of,
)
from multiresconv.data.splits import SPLITS, Split, fingerprint
from multiresconv.models import Input, MultiresRidge, Output, SequenceModel
from multiresconv.models.description import OutputKind
from multiresconv.models.draw_features import draw_features
from multiresconv.tasks.model_options import standardise
from multiresconv.tasks.recording_options import RecordingModelOptions
from multiresconv.tasks.task import Method, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 2_000  # of a training whose length is left to the task
ENOUGH_ROWS = 300  # up to this number of rows no network is trained: it rarely beats ridge regression
MOST_ROWS, MOST_STEPS = 3_000, 50_000_000  # up to which ridge regression takes minutes at most
FEATURES: dict[str, Any] = {"n_filters": 96, "kernel_size": 6, "wavelets": None, "n_thresholds": 4}
ONLY_OTHERS_MISS = "values are missing in rows of val or test, but in no training row: nothing is learned about them"
SCANNED = 500  # rows among which the examples are chosen


class RecordingBatch(NamedTuple):
    """Recordings padded with 0 to the longest of them."""

    signals: Tensor  # (B, L, C) float32 in raw units, NaN where a value is missing
    lengths: Tensor  # (B,) int64
    labels: Tensor  # (B,) int64 classes, or (B, T) float32 labels or values

    @property
    def targets(self) -> Tensor:
        """The labels, by the name that they have in a regression."""
        return self.labels


class RecordingTask:
    """The part of `Task` and `FitsAtOnce` shared by the tasks on users' own recordings.

    A subclass names the kind of its targets and builds its network with the arguments of `network`.
    """

    name: str
    targets: TargetKind

    def __init__(self, data: TableData, model: RecordingModelOptions) -> None:
        self.data, self.model = data, model

    @cached_property
    def recordings(self) -> RecordingSet:
        return open_recordings(self.data, self.targets)

    @cached_property
    def statistics(self) -> Statistics:
        """Statistics of the training rows."""
        return statistics_of(self.open("train"), self.recordings.channels, self.recordings.units)

    @cached_property
    def masked(self) -> bool:
        """True if the network masks missing values, by its options or because a recording of any split has some."""
        return self.model.mask_missing or self.statistics.has_missing or self._only_others_miss

    @cached_property
    def _only_others_miss(self) -> bool:
        """True if rows of other splits have missing values, but no training row has."""
        others = [self.open(split) for split in SPLITS if split != "train" and split in self.recordings.assigned]
        return not self.statistics.has_missing and any(rows.first_missing() is not None for rows in others)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, labels or values."""
        return self.recordings.targets.names

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods of which the best is kept, "ridge", "network" or both."""
        given, rows = self.model.method, len(self.open("train")) + len(self.open("val"))
        if given != "auto":
            return (given,)
        own = not type(self).__module__.startswith("multiresconv.")  # a task of the user's, perhaps with its own loss
        steps = sum(int(self.open(split).lengths.sum()) for split in ("train", "val"))
        if self.model.init is not None or own or rows > MOST_ROWS or steps > MOST_STEPS:
            return ("network",)
        return ("ridge",) if rows <= ENOUGH_ROWS else ("ridge", "network")

    def fit_at_once(self, splits: Sequence[Split], seed: int) -> MultiresRidge:
        """Fit a `MultiresRidge` to the rows of some splits; equal arguments give the same model."""
        from multiresconv.tasks.ridge import fit_ridge_model  # here, because SciPy takes a second to import

        parts = [self.open(split) for split in splits]
        sequences = [np.ascontiguousarray(rows.signal(row).T) for rows in parts for row in range(len(rows))]
        targets = np.concatenate([rows.targets.values for rows in parts])
        generator = np.random.default_rng(seed)
        features = draw_features(sequences, generator=generator, mask_missing=self.masked, **FEATURES)
        return fit_ridge_model(
            features,
            sequences,
            targets,
            Output(cast(OutputKind, self.targets), self.classes),
            weights=self.row_weights(targets),
            input=self._input(masked=features.mask_missing)["input"],
            groups=[group for rows in parts for group in rows.groups],
        ).model

    def prepare(self, *, may_generate: bool = True) -> None:
        _ = self.recordings

    def fingerprint(self) -> dict[str, Any]:
        return fingerprint(self.open)

    def decided(self) -> dict[str, Any]:
        """Return the plan of the training and what was decided about the recordings."""
        rows, data = len(self.open("train")), self.recordings
        batch_size = min(32, max(4, rows // 12), rows)
        return {
            "epochs": min(max(STEPS // max(rows // batch_size, 1), 10), 200),
            "batch_size": batch_size,
            "methods": list(self.methods),
            **facts_of(data, self.statistics),
            "doubts": [*self.statistics.remarks, *([ONLY_OTHERS_MISS] if self._only_others_miss else [])],
            "lengths": {f"{quantile:g}": length for quantile, length in self.statistics.lengths.items()},
            "targets": list(data.targets.names),
            "splits": data.assignment(),
        }

    def open(self, split: Split) -> RecordingSplit:
        return self.recordings.split(split)

    def open_file(self, path: Path) -> RecordingSplit:
        """Return all rows of another table with the same columns."""
        whole = replace(self.data, table=path, split=None, val_share=0.0, test_share=0.0)
        opened = open_recordings(whole, self.targets, least_classes=1)
        if opened.channels != self.recordings.channels:
            expected, given = ", ".join(self.recordings.channels), ", ".join(opened.channels)
            raise ValueError(f"file: {path}: expected the channels {expected}, got {given}")
        rows = opened.split("train")
        if not self.masked and (row := rows.first_missing()) is not None:
            raise ValueError(
                f"file: {path}: {rows.names[row]}: expected no missing value, since the training data have none; leave "
                "it out, or train with --model.mask_missing true"
            )
        return rows if opened.targets.names == self.classes else self._renamed(rows, path)

    def collate(self, items: Sequence[tuple[NDArray[np.float32], Any]]) -> RecordingBatch:
        lengths = [len(signal) for signal, _ in items]
        longest = max(lengths) if len(set(lengths)) == 1 else padded_length(max(lengths))
        signals = np.zeros((len(items), longest, items[0][0].shape[1]), np.float32)
        for row, (signal, _) in zip(signals, items, strict=True):
            row[: len(signal)] = signal
        labels = [0 if target is None else target for _, target in items]
        return RecordingBatch(
            torch.from_numpy(signals), torch.tensor(lengths, device="cpu"), torch.from_numpy(np.array(labels))
        )

    def forward(self, model: Any, batch: RecordingBatch) -> Tensor:
        """Return the model's outputs for a batch."""
        signals, lengths = batch.signals, batch.lengths
        ragged = int(lengths.min()) < signals.shape[1]
        return model(signals, lengths if ragged else None)

    @torch.inference_mode()
    def examples(self, model: Any, rows: RecordingSplit, title: str) -> dict[str, "Figure"]:
        """Draw the rows with the largest and with the smallest loss, out of the first `SCANNED` rows."""
        from multiresconv.tasks.recording_pictures import Shown, draw_recordings

        device = next(model.parameters()).device
        losses, texts = [], []
        for start in range(0, min(len(rows), SCANNED), 16):
            items = [rows[row] for row in range(start, min(start + 16, len(rows), SCANNED))]
            batch = RecordingBatch(*(tensor.to(device) for tensor in self.collate(items)))
            outcome = self.run(model, batch)
            losses += outcome.losses.tolist()
            texts += [self.told(outputs, item[1]) for outputs, item in zip(outcome.outputs.cpu(), items, strict=True)]
        order = np.argsort(losses, kind="stable")
        few = min(4, len(order) // 2)
        chosen = [*order[::-1][: max(few, 1)], *order[:few]]
        shown = [Shown(rows[row][0], f"{rows.names[row]}: {texts[row]}") for row in chosen]
        where = "largest loss on the left, smallest on the right"
        data = self.recordings
        unit = data.units[0] if len(set(data.units)) == 1 else None
        figure = draw_recordings(shown, data.channels, rate=data.rate, unit=unit, title=f"{title}: {where}")
        return {"examples": figure}

    @abstractmethod
    def build(self) -> SequenceModel:
        """Return an untrained network, as in `Task`."""

    @abstractmethod
    def run(self, model: Any, batch: RecordingBatch) -> Outcome:
        """Compute losses and outputs of a batch, as in `Task`."""

    @abstractmethod
    def told(self, outputs: Tensor, target: Any) -> str:
        """Say in a few words what the truth of a row is and what the model says."""

    def row_weights(self, targets: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the weight (n,) of rows with these targets in a fit at once, or None if all count the same."""
        return None

    def network(self) -> dict[str, Any]:
        """Return the arguments that every model takes: its input and its network."""
        longest = max(int(self.open(split).lengths.max()) for split in ("train", "val"))
        arguments = self.model.arguments_for(len(self.open("train")), longest)
        return arguments | self._input(masked=self.masked)

    def _input(self, *, masked: bool) -> dict[str, Any]:
        """Return `recording_input` with what the rows are."""
        lengths, around = self.statistics.lengths, (self.data.before, self.data.after)
        window = None if self.data.events is None else around
        return recording_input(
            self.recordings, self.statistics, masked=masked, steps=(lengths[0.0], lengths[1.0]), window=window
        )

    def standardised(self, model: SequenceModel) -> None:
        """Store mean and standard deviation of the training rows in the model."""
        standardise(model, torch.from_numpy(self.statistics.mean), torch.from_numpy(self.statistics.std))

    def _renamed(self, rows: RecordingSplit, path: Path) -> RecordingSplit:
        """Return the rows with the targets in the order of the training data.

        Raises:
            ValueError: the rows have a target that the training data do not have.
        """
        given = rows.targets.names
        if unknown := [name for name in given if name not in self.classes]:
            raise ValueError(
                f"file: {path}: expected the targets {', '.join(self.classes)}, got also {', '.join(unknown[:5])}"
            )
        place = np.array([self.classes.index(name) for name in given])
        if rows.targets.kind == "class":
            values = place[rows.targets.values]
        else:
            if rows.targets.kind == "value" and len(given) < len(self.classes):
                raise ValueError(
                    f"file: {path}: expected the targets {', '.join(self.classes)}, got {', '.join(given)}"
                )
            values = np.zeros((len(rows), len(self.classes)), np.float32)
            values[:, place] = rows.targets.values
        return RecordingSplit(
            rows.values,
            rows.starts,
            rows.lengths,
            rows.targets._replace(names=self.classes, values=values),
            rows.names,
            rows.groups,
        )


def recording_input(data: RecordingSet, statistics: Statistics, *, masked: bool, **rows: Any) -> dict[str, Any]:
    """Return the arguments of a model's constructor that describe its input.

    `masked` masks missing values. `rows` says more about the training rows: fields of `Input`.
    """
    units = set(data.units)
    description = Input(
        "signal",
        data.channels,
        unit=units.pop() if len(units) == 1 else None,
        rate=data.rate,
        missing="mask" if masked else "refuse",
        reading="select",
        usual=statistics.usual,
        **rows,
    )
    return {"d_input": len(data.channels), "input": description, "mask_missing": masked}


def facts_of(data: RecordingSet, statistics: Statistics) -> dict[str, Any]:
    """Return what run.json says about recordings and their training rows, whatever the task."""
    return {
        "channels": list(data.channels),
        "units": list(data.units),
        "rate": data.rate,
        "missing_values": statistics.has_missing,
        "mean": statistics.mean.tolist(),
        "std": statistics.std.tolist(),
        "skipped": [list(pair) for pair in data.skipped],
        "remarks": list(data.remarks),
    }
