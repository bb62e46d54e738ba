"""The interface of a task that training and evaluation use; `ListOps` is an example."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from multiresconv.data.splits import Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torchmetrics import Metric


Method = Literal["ridge", "network"]


class Outcome(NamedTuple):
    """Losses, hits and outputs of a model for a batch of n rows."""

    losses: Tensor  # (n,) loss of each row
    hits: Tensor | None  # (n,) 1 if the prediction is right, 0 if wrong; None if the task has no such notion
    outputs: Tensor  # (n, ...) outputs of the model


class Task(Protocol):
    """A data set, a model and its scores."""

    @property
    def name(self) -> str: ...

    @property
    def monitor(self) -> str:
        """Name of the score that selects the best model on "val"."""
        ...

    @property
    def maximize(self) -> bool:
        """True if a larger score is better."""
        ...

    @property
    def model(self) -> Any:
        """Options of the model, a `ModelOptions`."""
        ...

    def prepare(self, *, may_generate: bool = True) -> None:
        """Generate or download missing data; one process per machine calls this before any process opens a split.

        With `may_generate=False`, as for a resumed run, missing data raise an error.
        """
        ...

    def decided(self) -> dict[str, Any]:
        """Return what the task decided about the data, for run.json; called after `prepare`.

        `epochs` and `batch_size` fill options of the trainer that were left open; `doubts` is a list of lines that a
        run prints. Empty if the task decides nothing.
        """
        ...

    def fingerprint(self) -> dict[str, Any]:
        """Return split -> number of rows and checksum, for "train" and "val", ready for JSON.

        A resumed run compares it with the fingerprint that it began with.
        """
        ...

    def open(self, split: Split) -> Any:
        """Return a split: a map-style dataset with `__len__` and `lengths` (rows,), the time steps of each row."""
        ...

    def open_file(self, path: Path) -> Any:
        """Return the labelled rows of a user's file, as a dataset like that of `open`."""
        ...

    def collate(self, items: Any) -> Any: ...

    def build(self) -> Any:
        """Return an untrained model that `multiresconv.save` accepts, initialised from torch's global generator."""
        ...

    def run(self, model: Any, batch: Any) -> Outcome: ...

    def scores(self) -> "Metric":
        """Return a fresh metric. Call `update(outcome, batch)` per batch, then `compute()`.

        `compute()` returns a dict of tensors: scalars, including "loss" and the monitored score, and any others that
        the report and the pictures need.
        """
        ...

    def report(self, scores: Mapping[str, Tensor]) -> dict[str, Any]:
        """Turn computed scores into a report with confidence intervals, ready for JSON."""
        ...

    def table(self, report: Mapping[str, Any]) -> str:
        """Format a report as text."""
        ...

    def figures(self, scores: Mapping[str, Tensor], title: str) -> dict[str, "Figure"]:
        """Draw computed scores; return file name without suffix -> figure."""
        ...

    def examples(self, model: Any, rows: Any, title: str) -> dict[str, "Figure"]:
        """Draw what a model in eval mode does with some of the rows; return file name without suffix -> figure."""
        ...


@runtime_checkable
class FitsAtOnce(Protocol):
    """What a task has besides if it can fit a model to its rows at once, without training."""

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods ("ridge", "network" or both) of which the best on "val" is kept."""
        ...

    def fit_at_once(self, splits: Sequence[Split], seed: int) -> Any:
        """Return a model in eval mode, fitted to the rows of some splits by "ridge"."""
        ...
