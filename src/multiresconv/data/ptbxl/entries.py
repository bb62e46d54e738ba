"""Read `ptbxl_database.csv`: the path, fold and statements of each record."""

import ast
import functools
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from multiresconv.data.ptbxl.labels import STATEMENTS
from multiresconv.data.ptbxl.tables import read_table, shown

DATABASE = "ptbxl_database.csv"

_FOLDS = tuple(map(str, range(1, 11)))


class Entry(NamedTuple):
    """One record of the data set."""

    ecg_id: int
    fold: int  # 1 to 10
    codes: frozenset[str]  # of its statements with any likelihood, including 0 (unknown)
    record: str  # path of the 100 Hz record, relative to the folder, without suffix


def read_entries(folder: Path, known_codes: Collection[str]) -> list[Entry]:
    """Return the entries of `ptbxl_database.csv`, sorted by ecg_id.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line is malformed or repeats an ecg_id (the message names the line), or there is no entry.
    """
    path = folder / DATABASE
    known, entries = frozenset(known_codes), dict[int, Entry]()
    for line, row in read_table(path, ("ecg_id", "strat_fold", "scp_codes", "filename_lr")):
        try:
            entry = _parse_entry(row, known)
            if entry.ecg_id in entries:
                raise ValueError(f"ecg_id: there is another record of number {entry.ecg_id}")
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
        entries[entry.ecg_id] = entry
    if not entries:
        raise ValueError(f"{path}: expected rows below the header, got none")
    return [entries[ecg_id] for ecg_id in sorted(entries)]


def _parse_entry(row: Mapping[str, str], known_codes: frozenset[str]) -> Entry:
    ecg_id, fold = (row[name].removesuffix(".0") for name in ("ecg_id", "strat_fold"))  # pandas may add ".0"
    if not re.fullmatch("[0-9]{1,9}", ecg_id):
        raise ValueError(f"ecg_id: expected a number, got {shown(ecg_id)}")
    if fold not in _FOLDS:
        raise ValueError(f"strat_fold: expected 1 to 10, got {shown(fold)}")
    record = row["filename_lr"]
    if not re.fullmatch(r"[\w-]+(/[\w-]+)*", record, re.ASCII):  # no path that could leave the folder
        raise ValueError(f"filename_lr: expected a path like records100/..., got {shown(record)}")
    codes = _parse_codes(row["scp_codes"])
    for code in codes - known_codes:
        raise ValueError(f"scp_codes: {shown(str(code))} is none of the statements of {STATEMENTS}")
    return Entry(int(ecg_id), int(fold), codes, record)


@functools.lru_cache(4096)  # many records have equal codes
def _parse_codes(text: str) -> frozenset[Any]:
    """Return the keys of a dict literal {code: likelihood}."""
    wrong = f"scp_codes: expected a dict {{'code': likelihood, ...}}, got {shown(text)}"
    if len(text) > 10_000:  # parsing a malicious text may take much memory
        raise ValueError(wrong)
    try:
        likelihoods = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError(wrong) from None
    if not isinstance(likelihoods, dict) or not all(isinstance(value, int | float) for value in likelihoods.values()):
        raise ValueError(wrong)
    return frozenset(likelihoods)
