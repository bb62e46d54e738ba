"""Read the files of ListOps, published or generated: `basic_train.tsv`, `basic_val.tsv` and `basic_test.tsv`."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.listops.evaluate import check_parentheses, evaluate_listops
from multiresconv.data.listops.vocabulary import cut, is_expression, token_ids
from multiresconv.data.readers.text import read_lines
from multiresconv.data.splits import Split, check_split
from multiresconv.fields import shown


class Row(NamedTuple):
    """One example of a file."""

    line: int  # line number in the file; the header is line 1
    source: str
    tokens: NDArray[np.uint8]  # (n,), see `encode`
    label: int  # 0 to 9


def split_path(folder: str | Path, split: Split) -> Path:
    """Return the path of a split's file in a folder.

    Raises:
        ValueError: an unknown split.
    """
    check_split(split)
    return Path(folder) / f"basic_{split}.tsv"


def read_listops(path: str | Path) -> Iterator[Row]:
    """Yield the rows of a TSV file whose header names the columns Source and Target, in any order, among any others.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the header lacks a column, or a row is malformed; the message names file and line.
    """
    lines = _lines(path)
    _, header = next(lines, (1, ""))
    columns = header.split("\t")
    if columns.count("Source") != 1 or columns.count("Target") != 1:
        raise ValueError(
            f"{path}, line 1: expected a header with columns Source and Target, each once, got {shown(header)}"
        )
    for line, text in lines:
        fields = _fields(path, line, text, columns)
        target = fields["Target"]
        if len(target) != 1 or target not in "0123456789":
            raise ValueError(f"{path}, line {line}: Target: expected a label from 0 to 9, got {shown(target)}")
        yield Row(line, fields["Source"], _encode(path, line, fields["Source"]), int(target))


def read_sources(path: str | Path) -> Iterator[str]:
    """Yield the expressions of a file; see `numbered_sources`."""
    for _, source in numbered_sources(path):
        yield source


def numbered_sources(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield (line, expression) of a TSV file with a column Source, or of a text file with one expression per line.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line does not hold exactly one expression, or has an unknown token; the message names file and
            line.
    """
    columns: list[str] | None = None
    for line, text in _lines(path):
        if line == 1 and "Source" in text.split("\t"):
            columns = text.split("\t")
            if columns.count("Source") > 1:
                raise ValueError(f"{path}, line 1: expected one column Source, got {shown(text)}")
            continue
        if columns is None and "\t" in text:
            raise ValueError(f"{path}, line {line}: a tab, but line 1 is no header with a column Source")
        source = text if columns is None else _fields(path, line, text, columns)["Source"]
        _encode(path, line, source)
        yield line, source


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield numbered lines without their LF or CRLF. Bytes that are not UTF-8 become an unknown token."""
    for line, text in enumerate(read_lines(Path(path), newline="\n"), start=1):
        yield line, text.removesuffix("\n").removesuffix("\r")


def _fields(path: str | Path, line: int, text: str, columns: list[str]) -> dict[str, str]:
    fields = text.split("\t")
    if len(fields) != len(columns):
        raise ValueError(f"{path}, line {line}: expected {len(columns)} columns as in the header, got {len(fields)}")
    return dict(zip(columns, fields, strict=True))


def _encode(path: str | Path, line: int, source: str) -> NDArray[np.uint8]:
    try:
        ids = token_ids(source)
        check_parentheses(source)
        if not is_expression(ids):  # checked before truncation, which would hide the error
            evaluate_listops(source)  # raises an error that says what is wrong
        return cut(ids)
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: Source: {error}") from None
