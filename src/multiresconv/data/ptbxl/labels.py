"""The six label sets of PTB-XL (Wagner et al. 2020; Strodthoff et al. 2021), derived from `scp_statements.csv`.

Each statement of the SCP-ECG standard that occurs in PTB-XL is about the diagnosis, the form or the rhythm; some are
about two of these. Diagnostic statements have a class, and most have a subclass.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.ptbxl.tables import read_table, shown

LabelSet = Literal["all", "diagnostic", "subdiagnostic", "superdiagnostic", "form", "rhythm"]
STATEMENTS = "scp_statements.csv"

_KINDS = ("diagnostic", "form", "rhythm")
_GROUPS = {"subdiagnostic": "diagnostic_subclass", "superdiagnostic": "diagnostic_class"}


def read_statements(folder: Path) -> dict[str, dict[str, str]]:
    """Return code of the statement -> its row of `scp_statements.csv` (column -> value), in file order.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line is malformed; the message names it.
    """
    path = folder / STATEMENTS
    statements: dict[str, dict[str, str]] = {}
    for line, row in read_table(path, ("", *_KINDS, *_GROUPS.values())):  # the column of the codes has no name
        code = row[""]
        if not code or code in statements:
            raise ValueError(f"{path}, line {line}: expected the code of another statement, got {shown(code)}")
        for kind in _KINDS:
            if row[kind] not in ("", "0", "0.0", "1", "1.0"):
                raise ValueError(f"{path}, line {line}: {kind}: expected 1.0 or nothing, got {shown(row[kind])}")
        statements[code] = row
    return statements


def labels_of_codes(statements: Mapping[str, Mapping[str, str]], labels: LabelSet) -> dict[str, str]:
    """Return code -> label for every code that has a label in the set; several codes may share a label.

    The full table gives 71 labels in "all" (the codes themselves), 44 in "diagnostic", 23 in "subdiagnostic",
    5 in "superdiagnostic", 19 in "form" and 12 in "rhythm".

    Raises:
        ValueError: an unknown label set.
    """
    if labels not in get_args(LabelSet):
        raise ValueError(f"labels: expected one of {', '.join(get_args(LabelSet))}, got {labels!r}")
    if labels == "all":
        return {code: code for code in statements}
    if labels in _KINDS:
        return {code: code for code, row in statements.items() if _is_about(row, labels)}
    column = _GROUPS[labels]
    return {code: row[column] for code, row in statements.items() if _is_about(row, "diagnostic") and row[column]}


def read_label_names(folder: str | Path, labels: LabelSet) -> tuple[str, ...]:
    """Return the labels of a set from the folder's `scp_statements.csv`; raises the errors of `open_ptbxl`."""
    return label_names(labels_of_codes(read_statements(Path(folder)), labels))


def label_names(labels_of: Mapping[str, str]) -> tuple[str, ...]:
    """Return the labels of a set in alphabetical order."""
    return tuple(sorted(set(labels_of.values())))


def label_matrix(
    codes: Sequence[Collection[str]], labels_of: Mapping[str, str], names: Sequence[str]
) -> NDArray[np.uint8]:
    """Return (n, len(names)): 1 if a code of the record has the label, at any stated likelihood, else 0."""
    columns = {name: column for column, name in enumerate(names)}
    matrix = np.zeros((len(codes), len(names)), np.uint8)
    for row, of_record in zip(matrix, codes, strict=True):
        row[[columns[labels_of[code]] for code in of_record if code in labels_of]] = 1
    return matrix


def _is_about(row: Mapping[str, str], kind: str) -> bool:
    return row[kind].startswith("1")
