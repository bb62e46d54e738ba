"""Classification tasks with one class per row: loss, scores, report, table and picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from multiresconv.tasks.tables import aligned
from multiresconv.tasks.task import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multiresconv.tasks.classifier_scores import ClassifierScores


class Classification:
    """The part of `Task` shared by all tasks in which every row has one of `classes`."""

    monitor = "accuracy"
    maximize = True
    classes: tuple[str, ...]

    def scores(self) -> "ClassifierScores":
        from multiresconv.tasks.classifier_scores import ClassifierScores  # torchmetrics takes seconds to import

        return ClassifierScores(len(self.classes))

    def report(self, scores: Mapping[str, Tensor]) -> dict[str, Any]:
        return classification_report(scores, self.classes)

    def table(self, report: Mapping[str, Any]) -> str:
        return classification_table(report)

    def figures(self, scores: Mapping[str, Tensor], title: str) -> dict[str, "Figure"]:
        from multiresconv.tasks.confusion import draw_confusion

        return {"confusion": draw_confusion(scores["confusion"], self.classes, title)}


def classify(logits: Tensor, labels: Tensor) -> Outcome:
    """Compute cross entropy and hits of logits (n, C) with labels (n,); always in float32."""
    logits = logits.float()
    losses = F.cross_entropy(logits, labels, reduction="none")
    return Outcome(losses, (logits.argmax(1) == labels).float(), logits)


def classification_report(scores: Mapping[str, Tensor], classes: Sequence[str]) -> dict[str, Any]:
    """Report the accuracy with its 95 % interval (Wilson), the majority-class rate, the loss and the confusion."""
    confusion = scores["confusion"]
    of_class = confusion.sum(1)
    return {
        **(shares := share_of_hits(int(confusion.diagonal().sum()), int(confusion.sum()))),
        "loss": float(scores["loss"]),
        "majority_class": classes[int(of_class.argmax())],
        "majority_rate": int(of_class.max()) / shares["n"],
        "confusion": confusion.tolist(),
    }


def share_of_hits(hits: int, n: int) -> dict[str, Any]:
    """Report the number of rows and the accuracy with its 95 % interval (Wilson); n >= 1."""
    from scipy.stats import binomtest  # not at the top: slow to import, and `--help` imports this module

    interval = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    return {"n": n, "accuracy": hits / n, "accuracy_95": [float(interval.low), float(interval.high)]}


def classification_table(report: Mapping[str, Any]) -> str:
    """Format a `classification_report` as text."""
    low, high = report["accuracy_95"]
    return aligned(
        {
            "n": str(report["n"]),
            "accuracy": f"{report['accuracy']:.2%}",
            "95 % interval": f"{low:.2%} to {high:.2%}",
            "majority class": f"{report['majority_rate']:.2%} (always {report['majority_class']})",
            "loss": f"{report['loss']:.4f}",
        }
    )
