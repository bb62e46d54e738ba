"""PTB-XL: predict the SCP-ECG statements of a twelve-lead electrocardiogram, ten seconds at 100 Hz."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from multiresconv.data.ptbxl import (
    LEADS,
    RATE,
    LabelSet,
    PtbXlSplit,
    Standardiser,
    fit_standardiser,
    open_ptbxl,
    prepare_ptbxl,
    read_label_names,
    usual_ranges,
)
from multiresconv.data.splits import Split
from multiresconv.models import Input, MultiresClassifier, Output
from multiresconv.tasks.model_options import PooledModelOptions, standardise
from multiresconv.tasks.multilabel import multilabel, multilabel_report, multilabel_table
from multiresconv.tasks.task import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multiresconv.tasks.multilabel_scores import MultilabelScores


PTBXL_INPUT = Input("signal", LEADS, unit="mV", rate=RATE)


@dataclass(frozen=True)
class PtbXlData:
    """Location of the files of PTB-XL.

    Args:
        folder: folder with ptbxl_database.csv, scp_statements.csv and records100; downloaded if they are missing.
        cache_folder: folder for a cache of all signals in one file; null means `folder`.
    """

    folder: Path = Path("data/ptbxl")
    cache_folder: Path | None = None


@dataclass(frozen=True)
class PtbXlLabels:
    """The labels to predict.

    Args:
        labels: the set of labels; records without any of them are left out.
    """

    labels: LabelSet = "all"


class SignalBatch(NamedTuple):
    signals: Tensor  # (B, L, 12) float32 in mV
    labels: Tensor  # (B, C) float32, 0 or 1


class PtbXl:
    """Predict the statements of PTB-XL ECGs. Defaults are the paper's unless --recipe or --config is given."""

    name = "ptbxl"
    monitor = "macro_auroc"
    maximize = True

    def __init__(self, data: PtbXlData, task: PtbXlLabels, model: PooledModelOptions) -> None:
        self.data, self.task, self.model = data, task, model
        self._standardiser: Standardiser | None = None
        self._usual: tuple[tuple[float, float], ...] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        return read_label_names(self.data.folder, self.task.labels)

    @property
    def standardiser(self) -> Standardiser:
        """The standardiser fitted on the training folds."""
        if self._standardiser is None:
            self._standardiser = fit_standardiser(self.open("train"))
        return self._standardiser

    @property
    def usual(self) -> tuple[tuple[float, float], ...]:
        """The usual range of each lead in the training folds."""
        if self._usual is None:
            self._usual = usual_ranges(self.open("train"))
        return self._usual

    def prepare(self, *, may_generate: bool = True) -> None:
        prepare_ptbxl(self.data.folder, download=may_generate)

    def decided(self) -> dict[str, Any]:
        return {}

    def fingerprint(self) -> dict[str, Any]:
        names: tuple[Split, ...] = ("train", "val")
        splits = {name: self.open(name) for name in names}
        if self._standardiser is None:
            self._standardiser = fit_standardiser(splits["train"])  # now, so that `build` need not open "train" again
            self._usual = usual_ranges(splits["train"])
        return {name: {"rows": len(split), "checksum": split.checksum()} for name, split in splits.items()}

    def open(self, split: Split) -> PtbXlSplit:
        return open_ptbxl(self.data.folder, split, self.task.labels, cache_folder=self.data.cache_folder)

    def open_file(self, path: Path) -> PtbXlSplit:
        raise ValueError(f"file: {path}: the labels of PTB-XL are in its tables; name another set with --folder")

    def collate(self, items: Any) -> SignalBatch:
        signals, labels = zip(*items, strict=True)
        return SignalBatch(torch.from_numpy(np.stack(signals)), torch.from_numpy(np.stack(labels)))

    def build(self) -> MultiresClassifier:
        model = MultiresClassifier(
            len(self.classes),
            d_input=len(LEADS),
            input=PTBXL_INPUT,
            output=Output("labels", self.classes),
            **self.model.arguments(),
        )
        if not model.head.weight.is_meta:
            standardise(model, *self.standardiser)
            model.input = replace(model.input, usual=self.usual)
        return model

    def run(self, model: nn.Module, batch: SignalBatch) -> Outcome:
        return multilabel(model(batch.signals), batch.labels)

    def scores(self) -> "MultilabelScores":
        from multiresconv.tasks.multilabel_scores import MultilabelScores  # torchmetrics takes seconds to import

        return MultilabelScores(len(self.classes))

    def report(self, scores: Mapping[str, Tensor]) -> dict[str, Any]:
        return {"labels": self.task.labels, **multilabel_report(scores, self.classes)}

    def table(self, report: Mapping[str, Any]) -> str:
        return multilabel_table(report)

    def figures(self, scores: Mapping[str, Tensor], title: str) -> dict[str, "Figure"]:
        from multiresconv.tasks.multilabel_pictures import roc_figures

        return roc_figures(scores, self.classes, title)

    def examples(self, model: MultiresClassifier, rows: PtbXlSplit, title: str) -> dict[str, "Figure"]:
        """Draw the first record with the prediction after each sample."""
        from multiresconv.tasks.multilabel_pictures import draw_running_prediction

        signal, truth = rows[0]
        with torch.inference_mode():
            x = torch.from_numpy(signal).unsqueeze(0).to(next(model.parameters()))
            logits, _ = model(x, state=model.init_state(1))
        probabilities = model.output.probabilities(logits)[0].cpu().numpy()
        title = f"{title}, record {rows.ecg_ids[0]}"
        return {"running": draw_running_prediction(signal, probabilities, self.classes, truth, title)}
