"""Slices of a table are those of the whole table, cell by cell and place by place."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data.readers.table import read_table
from multiresconv.data.readers.table_slices import read_slices

CELLS = st.sampled_from(["a", "two\nlines", "x,y", "", "three\n\nlines", "7"])


@examples(40)
@given(
    cells=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20),
    rows=st.integers(1, 25),
    group=st.integers(1, 25),
    suffix=st.sampled_from(["csv", "tsv", "parquet"]),
)
def test_slices_are_those_of_the_whole(tmp_path_factory, cells, rows, group, suffix) -> None:
    path = tmp_path_factory.mktemp("table") / f"t.{suffix}"
    frame = pd.DataFrame(cells, columns=["one", " two "])
    if suffix == "parquet":
        frame.to_parquet(path, index=False, row_group_size=group)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",", quoting=1)
    whole, slices = read_table(path), list(read_slices(path, rows))
    assert [len(part) for part in slices[:-1]] == [rows] * (len(slices) - 1)
    assert 0 < len(slices[-1]) <= rows
    for name in ("one", "two"):
        assert [text for part in slices for text in part.texts(name)] == whole.texts(name)
    places = [part.place(row) for part in slices for row in range(len(part))]
    assert places == [whole.place(row) for row in range(len(whole))]
    assert [part.first for part in slices] == list(range(0, len(whole), rows))


def test_a_table_of_many_blocks_is_read_in_slices(tmp_path: Path) -> None:
    path, rows = tmp_path / "t.csv", 120_000
    path.write_text("file,note\n" + "".join(f"r{row}.csv,{'n' * 20}\n" for row in range(rows)))
    texts = [text for part in read_slices(path, 7_000) for text in part.texts("file")]
    assert texts == [f"r{row}.csv" for row in range(rows)]


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"a,b\n1,2\n1\n", "t.csv: line 3: expected 2 cells as in the header, got 1"),
        (b"a,a\n1,2\n", "t.csv, line 1: expected columns of different names, 'a' comes twice"),
        (b"a,b\n", "t.csv: expected rows below the header"),
        (b"", "t.csv: not a readable table"),
        (b"a\xff,b\n1,2\n", "t.csv, line 1: expected UTF-8"),
        (b"a,b\n1,\xff\n", "t.csv: not a readable table in UTF-8"),
    ],
)
def test_what_is_malformed_is_told(tmp_path: Path, content: bytes, wrong: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=wrong):
        list(read_slices(tmp_path / "t.csv", 10))


def test_a_damaged_parquet_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(ValueError, match=r"t.parquet: not a readable table in Parquet"):
        list(read_slices(tmp_path / "t.parquet", 10))
