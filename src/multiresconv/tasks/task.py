"""What training, evaluation and prediction ask of a task; `ListOps` is one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from torch import Tensor

from multiresconv.data.splits import Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torchmetrics import Metric


class Outcome(NamedTuple):
    """What a model made of a batch of n rows."""

    losses: Tensor  # (n,) loss of each row
    hits: Tensor | None  # (n,) 1 where the row is right, 0 where it is wrong; None where rows are not right or wrong
    outputs: Tensor  # (n, ...) of the model


class Task(Protocol):
    """A data set, a model and how they are scored."""

    @property
    def name(self) -> str: ...

    @property
    def monitor(self) -> str:
        """Name of the score whose best value on "val" makes a model the best one."""
        ...

    @property
    def maximize(self) -> bool:
        """Whether a larger score is better."""
        ...

    @property
    def model(self) -> Any:
        """Options of the model, a `ModelOptions`."""
        ...

    def prepare(self, *, may_generate: bool = True) -> None:
        """Make the data be there; one process of each machine calls this before any other opens a split.

        Without `may_generate`, for a run that is resumed, data that are missing are an error.
        """
        ...

    def fingerprint(self) -> dict[str, Any]:
        """By split what tells its rows from others, as JSON has it, of "train" and "val" only."""
        ...

    def open(self, split: Split) -> Any:
        """The rows of a split, a sized dataset with an array `lengths` (rows,) of steps."""
        ...

    def open_file(self, path: Path) -> Any:
        """The rows, with labels, of a file of the user's."""
        ...

    def collate(self, items: Any) -> Any: ...

    def build(self) -> Any:
        """The untrained model, a module that `save` takes, drawn from torch's random numbers."""
        ...

    def run(self, model: Any, batch: Any) -> Outcome: ...

    def scores(self) -> "Metric":
        """An empty score: `update(outcome, batch)` per batch, then `compute()` gives a dict of scalar tensors, among
        them "loss" and the monitored one, and whatever tensors the report and the pictures need."""
        ...

    def report(self, scores: Mapping[str, Tensor]) -> dict[str, Any]:
        """What `scores` computed, with intervals, as JSON has it."""
        ...

    def table(self, report: Mapping[str, Any]) -> str:
        """A report for people."""
        ...

    def figures(self, scores: Mapping[str, Tensor], title: str) -> dict[str, "Figure"]:
        """Pictures of scores, by the name of their file."""
        ...

    def examples(self, model: Any, rows: Any, title: str) -> dict[str, "Figure"]:
        """Pictures of what a model in eval mode does with some of the rows, by the name of their file."""
        ...
