"""ListOps (Nangia & Bowman 2018; long form of the Long Range Arena): predict the value, 0 to 9, of an expression."""

import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from multiresconv.data import Batch, collate
from multiresconv.data.listops import (
    END,
    MAX_TOKENS,
    TOKENS,
    ListOpsSplit,
    generate_listops,
    open_split,
    split_path,
)
from multiresconv.data.splits import Split, fingerprint
from multiresconv.models import Input, MultiresClassifier, Output
from multiresconv.tasks.classification import Classification, classify, share_of_hits
from multiresconv.tasks.model_options import PooledModelOptions
from multiresconv.tasks.tables import columns
from multiresconv.tasks.task import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multiresconv.tasks.listops_scores import ListOpsScores


LISTOPS_INPUT = Input(
    "tokens", vocabulary=TOKENS, end=TOKENS[END], ignored="()", max_tokens=MAX_TOKENS, syntax="listops"
)


@dataclass(frozen=True)
class ListOpsData:
    """Data folder, and settings of the generator if it is missing or empty; the defaults are the Long Range Arena's.

    Args:
        folder: folder with basic_train.tsv, basic_val.tsv and basic_test.tsv.
        n_train: rows to generate for training.
        n_val: rows to generate for validation.
        n_test: rows to generate for the test.
        min_length: every expression is longer than this; an operator counts 2, a digit 1.
        max_length: every expression is shorter than this.
        max_depth: deepest nesting of operators.
        max_args: largest number of arguments of an operator, at least 2.
        seed: seed of the generator.
        cache_folder: folder for the tokenised rows; null puts them beside each file.
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


class ListOps(Classification):
    """Predict the values of ListOps expressions. Defaults are the paper's unless --recipe or --config is given."""

    name = "listops"
    classes = tuple("0123456789")

    def __init__(self, data: ListOpsData, model: PooledModelOptions) -> None:
        self.data, self.model = data, model

    def prepare(self, *, may_generate: bool = True) -> None:
        """Generate the data set if its folder is missing or empty; a folder with files is used as it is.

        Raises:
            FileNotFoundError: the folder lacks a file of ListOps, or is empty and `may_generate` is False.
        """
        folder = self.data.folder
        if is_vacant(folder):
            if not may_generate:
                raise FileNotFoundError(f"data.folder: {folder} has no data; a resumed run needs its original data")
            print(f"{folder}: no data there yet, generating ListOps (multiresconv data listops)", file=sys.stderr)
            with suppress(FileExistsError):  # another process was first
                generate(self.data)
        for split in ("train", "val"):
            if not split_path(folder, split).is_file():
                raise FileNotFoundError(
                    f"data.folder: {folder} has no {split_path(folder, split).name}; name another folder, or "
                    f"generate the data: multiresconv data listops --folder {shlex.quote(str(folder))}"
                )

    def decided(self) -> dict[str, Any]:
        return {}

    def fingerprint(self) -> dict[str, Any]:
        return fingerprint(self.open)

    def open(self, split: Split) -> ListOpsSplit:
        return self.open_file(split_path(self.data.folder, split))

    def open_file(self, path: Path) -> ListOpsSplit:
        return open_split(path, cache_folder=self.data.cache_folder)

    def collate(self, items: Any) -> Batch:
        return collate(items)

    def build(self) -> MultiresClassifier:
        return MultiresClassifier(
            len(self.classes),
            n_tokens=len(TOKENS),
            input=LISTOPS_INPUT,
            output=Output("class", self.classes),
            **self.model.arguments(),
        )

    def run(self, model: nn.Module, batch: Batch) -> Outcome:
        return classify(model(batch.tokens, batch.lengths), batch.labels)

    def scores(self) -> "ListOpsScores":
        from multiresconv.tasks.listops_scores import ListOpsScores  # torchmetrics takes seconds to import

        return ListOpsScores(len(self.classes))

    def report(self, scores: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the report of a classification, and accuracies "by_length" and "by_depth" of groups of rows."""
        return {**super().report(scores), **by_length_and_depth(scores)}

    def table(self, report: Mapping[str, Any]) -> str:
        groups = [
            [_named(group), str(group["n"]), f"{group['accuracy']:.2%}"]
            for group in (*report["by_length"], *report["by_depth"])
        ]
        return f"{super().table(report)}\n{columns([['rows', 'n', 'accuracy'], *groups], '<>>')}"

    def figures(self, scores: Mapping[str, Tensor], title: str) -> dict[str, "Figure"]:
        from multiresconv.tasks.listops_picture import draw_by_length_and_depth

        if "by_length" not in scores:  # of a run of an earlier version
            return super().figures(scores, title)
        groups = by_length_and_depth(scores)
        picture = draw_by_length_and_depth(groups["by_length"], groups["by_depth"], title)
        return {**super().figures(scores, title), "by-length-and-depth": picture}

    def examples(self, model: nn.Module, rows: ListOpsSplit, title: str) -> dict[str, "Figure"]:
        return {}


def by_length_and_depth(scores: Mapping[str, Tensor]) -> dict[str, list[dict[str, Any]]]:
    """Report the accuracy of groups of rows, those without rows left out.

    Returns:
        "by_length": the fewest and most "tokens" of a group, the end token included; "by_depth": the "depth" of its
        operators, the last for all that are deeper. Each with n, accuracy and accuracy_95.
    """
    from multiresconv.tasks.listops_scores import LONGEST

    tokens = zip((1, *(most + 1 for most in LONGEST)), LONGEST, strict=False)
    named = {
        "by_length": [{"tokens": list(ends)} for ends in tokens],
        "by_depth": [{"depth": depth} for depth in range(len(scores["by_depth"]))],
    }
    return {
        name: [
            {**group, **share_of_hits(hits, misses + hits)}
            for group, (misses, hits) in zip(groups, scores[name].tolist(), strict=True)
            if misses + hits
        ]
        for name, groups in named.items()
    }


def _named(group: Mapping[str, Any]) -> str:
    return f"tokens {group['tokens'][0]} to {group['tokens'][1]}" if "tokens" in group else f"depth {group['depth']}"


def is_vacant(folder: Path) -> bool:
    """Return True if the folder is missing or has only hidden files, which an interrupted generation leaves."""
    return not folder.exists() or (folder.is_dir() and all(p.name.startswith(".") for p in folder.iterdir()))


def generate(data: ListOpsData, *, overwrite: bool = False) -> None:
    """Generate the three splits in `data.folder` on all cores, with a progress bar."""
    limits = {name: value for name, value in asdict(data).items() if name not in ("folder", "cache_folder")}
    generate_listops(data.folder, **limits, progress=True, overwrite=overwrite)
