"""Check the labels of ListOps files by evaluating every expression."""

from pathlib import Path

from multiresconv.data.listops.evaluate import evaluate_listops
from multiresconv.data.listops.files import read_listops, split_path
from multiresconv.data.splits import SPLITS


def verify_listops(path: str | Path, *, progress: bool = True) -> int:
    """Check that every label of a file, or of a folder's three splits, is the value of its expression.

    Returns:
        The number of rows checked.

    Raises:
        FileNotFoundError: no such file, or one of the folder's three files is missing.
        ValueError: a row is malformed or has a wrong label; the message names file and line of the first.
    """
    from tqdm import tqdm  # not at the top: needs the training extra

    path = Path(path)
    files = [split_path(path, split) for split in SPLITS] if path.is_dir() else [path]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no such file; download or generate ListOps first")
    rows = 0
    with tqdm(desc="verify", unit="row", disable=None if progress else True) as bar:
        for file in files:
            for row in read_listops(file):
                try:
                    value = evaluate_listops(row.source)
                except ValueError as error:
                    raise ValueError(f"{file}, line {row.line}: Source: {error}") from None
                if value != row.label:
                    raise ValueError(f"{file}, line {row.line}: Target is {row.label}, but Source has value {value}")
                rows += 1
                bar.update()
    return rows
