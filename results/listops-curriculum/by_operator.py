"""Count what models of ListOps get right, by the outermost operator, alone or around others.

    python results/listops-curriculum/by_operator.py VALIDATION.tsv [TRAINING.tsv] --models MODEL [MODEL ...]

With the training rows it also says how many of the validation rows are among them.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import torch

from multiresconv import load
from multiresconv.data.listops import depths, read_listops
from multiresconv.runs.predict import outputs


def shares(model: Path, file: Path) -> dict[str, str]:
    """Return a text such as "359 of 384" for each outermost operator, alone or around others."""
    rows = list(read_listops(file))
    given = outputs(load(model), ((torch.from_numpy(row.tokens).long(),) for row in rows), batch_size=200)
    counts = defaultdict[str, list[bool]](list)
    for row, found in zip(rows, given, strict=True):
        inside = "alone" if depths(row.tokens) == 1 else "around others"
        counts[f"{row.source.replace('(', ' ').split()[0]} {inside}"].append(int(found.argmax()) == row.label)
    return {name: f"{sum(hits)} of {len(hits)}" for name, hits in sorted(counts.items())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("validation", type=Path)
    parser.add_argument("training", type=Path, nargs="?")
    parser.add_argument("--models", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    if options.training is not None:
        known = {row.tokens.tobytes() for row in read_listops(options.training)}
        seen = [row.tokens.tobytes() in known for row in read_listops(options.validation)]
        print(f"{sum(seen)} of {len(seen)} validation rows are training rows")
    for model in options.models:
        for name, text in shares(model, options.validation).items():
            print(f"{model}\t{name}\t{text}")
