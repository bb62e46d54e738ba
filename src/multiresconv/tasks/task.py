"""What training, evaluation and prediction ask of a task; `ListOps` is one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from torch import Tensor, nn

from multiresconv.data import LengthBuckets
from multiresconv.models import MultiresClassifier

if TYPE_CHECKING:
    from torchmetrics import Metric


class Outcome(NamedTuple):
    """What a model made of a batch of n rows."""

    losses: Tensor  # (n,) loss of each row
    hits: Tensor  # (n,) 1 where the row is right, 0 where it is wrong
    outputs: Tensor  # (n, ...) of the model


class Task(Protocol):
    """A data set, a model and how they are scored. The split is "train", "val" or "test"."""

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> Sequence[str]: ...

    @property
    def monitor(self) -> str:
        """Name of the score, larger is better, whose maximum on "val" makes a model the best one."""
        ...

    def prepare(self, *, may_generate: bool = True) -> None:
        """Make the data be there; one process of each machine calls this before any other opens a split.

        Without `may_generate`, for a run that is resumed, data that are missing are an error.
        """
        ...

    def fingerprint(self) -> dict[str, Any]:
        """By split what tells its rows from others, as JSON has it, of "train" and "val" only."""
        ...

    def open(self, split: str) -> Any:
        """The rows of a split, a sized dataset."""
        ...

    def open_file(self, path: Path) -> Any:
        """The rows, with labels, of a file of the user's."""
        ...

    def read_inputs(self, path: Path) -> Iterator[Any]:
        """The rows of a file without labels, as `collate` takes them."""
        ...

    def batches(
        self,
        rows: Any,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = False,
        pool: int = 50,
        rank: int = 0,
        world_size: int = 1,
    ) -> LengthBuckets:
        """Row numbers of each batch, as `LengthBuckets` has them; `batch_size` is over all ranks together."""
        ...

    def collate(self, items: Any) -> Any: ...

    def build(self) -> MultiresClassifier:
        """The untrained model, drawn from torch's random numbers."""
        ...

    def run(self, model: nn.Module, batch: Any) -> Outcome: ...

    def scores(self) -> "Metric":
        """An empty score: `update(outcome, batch)` per batch, then `compute()` gives a dict of scalar tensors, among
        them "loss" and the monitored one, and whatever tensors the pictures need."""
        ...
