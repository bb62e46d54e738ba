"""Multi-label tasks, with any number of labels per row: loss, report and table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from multiresconv.tasks.multilabel_ranking import bootstrap_macro_auroc
from multiresconv.tasks.tables import aligned, columns
from multiresconv.tasks.task import Outcome

_BY_CLASS = ("auroc", "average_precision", "f1")


def multilabel(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Outcome:
    """Compute the binary cross entropy of logits (n, C) with labels (n, C), 0 or 1, averaged over the C labels.

    It is always computed in float32. The outcome has no hits, since a row is usually only partly right.

    Args:
        logits: of the labels.
        labels: of the rows.
        weights: (2, C) weight of a row without and with each label; None weights all rows equally.
    """
    logits, labels = logits.float(), labels.float()
    losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    if weights is not None:
        without, with_label = weights.to(losses)
        losses = losses * torch.lerp(without, with_label, labels)
    return Outcome(losses.mean(1), None, logits)


def multilabel_report(
    scores: Mapping[str, Tensor], names: Sequence[str], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """Report the scores, with the 95 % interval of the macro AUROC (percentile bootstrap over rows).

    The macro AUROC of a resample is the mean over the classes that have both positive and negative rows in it.
    Undefined numbers are null.

    Args:
        scores: the result of `MultilabelScores.compute`.
        names: C labels.
        seed: seed of the resamples.
        resamples: number of resamples, at least 1.
    """
    if resamples < 1:
        raise ValueError(f"resamples: expected at least 1, got {resamples}")
    positives, n = scores["positives"].tolist(), int(scores["n"])
    left_out = [name for name, count in zip(names, positives, strict=True) if count in (0, n)]
    logits, labels = scores["logits"].cpu().numpy(), scores["labels"].cpu().numpy()
    macros = bootstrap_macro_auroc(logits, labels, resamples=resamples, seed=seed)
    macros = macros[~np.isnan(macros)]
    return {
        "n": n,
        "macro_auroc": _number_or_none(scores["macro_auroc"]),
        "macro_auroc_95": np.percentile(macros, [2.5, 97.5]).tolist() if len(macros) else None,
        "bootstrap_resamples": resamples,
        "classes": len(names),
        "classes_scored": len(names) - len(left_out),
        "classes_left_out": left_out,
        "macro_average_precision": _number_or_none(scores["macro_average_precision"]),
        "macro_f1": _number_or_none(scores["macro_f1"]),
        "micro_f1": _number_or_none(scores["micro_f1"]),
        "exact_match": float(scores["exact_match"]),
        "loss": float(scores["loss"]),
        "per_class": [
            {
                "name": name,
                "positives": positives[i],
                **{key: _number_or_none(scores[key][i]) for key in _BY_CLASS},
            }
            for i, name in enumerate(names)
        ],
    }


def multilabel_table(report: Mapping[str, Any]) -> str:
    """Format a `multilabel_report` as text: the means, then one line per class."""
    interval, left_out = report["macro_auroc_95"], report["classes_left_out"]
    means = aligned(
        {
            "n": str(report["n"]),
            "macro AUROC": _cell(report["macro_auroc"]),
            "95 % interval": "undefined" if interval is None else "{:.4f} to {:.4f}".format(*interval),
            "classes scored": f"{report['classes_scored']} of {report['classes']}; left out, as all rows or none have "
            f"the label: {len(left_out)}",
            "macro average precision": _cell(report["macro_average_precision"]),
            "macro F1 at 0.5": _cell(report["macro_f1"]),
            "micro F1 at 0.5": _cell(report["micro_f1"]),
            "all labels right": f"{report['exact_match']:.2%}",
            "loss": f"{report['loss']:.4f}",
        }
    )
    header = ["label", "positives", "AUROC", "avg. precision", "F1"]
    rows = [
        [row["name"], str(row["positives"]), *(_cell(row[key]) for key in _BY_CLASS)] for row in report["per_class"]
    ]
    return "\n".join([means, "", columns([header, *rows], "<>>>>")])


def _number_or_none(value: Tensor) -> float | None:
    return None if value.isnan() else float(value)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
