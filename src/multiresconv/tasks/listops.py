"""ListOps (Nangia & Bowman 2018, the long form of the Long Range Arena): the value, 0 to 9, of a nested expression."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from multiresconv.data import Batch, LengthBuckets, collate
from multiresconv.data.listops import (
    N_TOKENS,
    ListOpsSplit,
    encode,
    generate_listops,
    open_split,
    read_sources,
    split_path,
)
from multiresconv.models import MultiresClassifier
from multiresconv.tasks.classification import classify
from multiresconv.tasks.task import Outcome

if TYPE_CHECKING:
    from multiresconv.tasks.classifier_scores import ClassifierScores


@dataclass(frozen=True)
class ListOpsData:
    """Where the data are and, where the folder does not exist yet, how to generate them; defaults of the LRA.

    Args:
        folder: of basic_train.tsv, basic_val.tsv and basic_test.tsv.
        n_train: rows to generate for training.
        n_val: rows to generate for validation.
        n_test: rows to generate for the test.
        min_length: every expression is longer than this, an operator counting 2 and a digit 1.
        max_length: every expression is shorter than this.
        max_depth: deepest nesting of operators.
        max_args: most arguments of an operator, at least 2.
        seed: of the generator.
        cache_folder: where the tokenised rows go; null is beside each file.
    """

    folder: Path = Path("data/listops")
    n_train: int = 96_000
    n_val: int = 2_000
    n_test: int = 2_000
    min_length: int = 500
    max_length: int = 2_000
    max_depth: int = 10
    max_args: int = 10
    seed: int = 0
    cache_folder: Path | None = None


@dataclass(frozen=True)
class ListOpsModel:
    """The classifier, by the arguments of `MultiresClassifier`; defaults of the paper.

    Args:
        n_layers: number of blocks.
        d_model: channels of each block.
        kernel_size: taps of the filters, learned; null where a wavelet is named.
        wavelet: name of a discrete wavelet to start the filters from, such as db2.
        depth: number of scales.
        memory: fading, or the total number of coefficients that a uniform memory keeps.
        dropout: probability that a whole channel is dropped.
        norm: normalisation after the residual.
        own_skip_init: draw the skip weight w_x from U(-1, 1), as if it were a layer of its own.
    """

    n_layers: int = 10
    d_model: int = 128
    kernel_size: int | None = 4
    wavelet: str | None = None
    depth: int = 10
    memory: Literal["fading"] | int = "fading"
    dropout: float = 0.1
    norm: Literal["layer", "batch"] = "batch"
    own_skip_init: bool = True


class ListOps:
    """The task of `multiresconv train listops`."""

    name = "listops"
    classes = tuple("0123456789")
    monitor = "accuracy"

    def __init__(self, data: ListOpsData, model: ListOpsModel) -> None:
        self.data, self.model = data, model

    def prepare(self, *, may_generate: bool = True) -> None:
        """Generate the data set if its folder is missing or empty; a folder that has files is used as it is.

        Raises:
            FileNotFoundError: the folder has files, but not those of ListOps, or none, without `may_generate`.
        """
        folder = self.data.folder
        if is_vacant(folder):
            if not may_generate:
                raise FileNotFoundError(f"data.folder: {folder} has no data, and a run goes on with its own only")
            print(f"{folder}: no data there yet, generating ListOps (multiresconv data listops)", file=sys.stderr)
            with suppress(FileExistsError):  # another process was first
                generate(self.data)
        for split in ("train", "val"):
            if not split_path(folder, split).is_file():
                raise FileNotFoundError(
                    f"data.folder: {folder} has no {split_path(folder, split).name}; name another folder, or "
                    f"generate the data: multiresconv data listops --folder {shlex.quote(str(folder))}"
                )

    def fingerprint(self) -> dict[str, Any]:
        splits = {name: self.open(name) for name in ("train", "val")}
        return {name: {"rows": len(split), "checksum": split.checksum()} for name, split in splits.items()}

    def open(self, split: str) -> ListOpsSplit:
        return self.open_file(split_path(self.data.folder, split))

    def open_file(self, path: Path) -> ListOpsSplit:
        return open_split(path, cache_folder=self.data.cache_folder)

    def read_inputs(self, path: Path) -> Iterator[tuple[NDArray[np.uint8], int]]:
        """Tokens of each expression, with label 0 since none is known."""
        return ((encode(source), 0) for source in read_sources(path))

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
        return LengthBuckets(
            rows.lengths, batch_size, seed=seed, shuffle=shuffle, pool=pool, rank=rank, world_size=world_size
        )

    def collate(self, items: Any) -> Batch:
        return collate(items)

    def build(self) -> MultiresClassifier:
        return MultiresClassifier(len(self.classes), n_tokens=N_TOKENS, **asdict(self.model))

    def run(self, model: nn.Module, batch: Batch) -> Outcome:
        return classify(model(batch.tokens, batch.lengths), batch.labels)

    def scores(self) -> "ClassifierScores":
        from multiresconv.tasks.classifier_scores import ClassifierScores  # torchmetrics takes seconds to import

        return ClassifierScores(len(self.classes))


def is_vacant(folder: Path) -> bool:
    """Whether the folder is missing or has nothing in it but what an interrupted generation left."""
    return not folder.exists() or (folder.is_dir() and all(p.name.startswith(".") for p in folder.iterdir()))


def generate(data: ListOpsData, *, overwrite: bool = False) -> None:
    """Generate the three splits into `data.folder` with a progress bar, on all processors."""
    limits = {name: value for name, value in asdict(data).items() if name not in ("folder", "cache_folder")}
    generate_listops(data.folder, **limits, progress=True, overwrite=overwrite)
