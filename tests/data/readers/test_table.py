"""Tables: cells of text and of Parquet give the same texts and numbers, and places are lines."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data.readers.table import read_table


@examples(30)
@given(
    numbers=st.lists(st.none() | st.floats(-1e6, 1e6, width=32) | st.integers(-99, 99), min_size=1, max_size=8),
    words=st.sampled_from(["a", "walk; run", 'say "no"', "x,y", "\u00e4"]),
)
def test_text_and_parquet_are_the_same(tmp_path_factory, numbers, words) -> None:
    folder = tmp_path_factory.mktemp("table")
    frame = pd.DataFrame({"n": np.array(numbers, np.float64), "w": words, "d": pd.Timestamp("2024-05-06T07:08:09.25")})
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_csv(folder / "t.tsv", index=False, sep="\t")
    frame.to_parquet(folder / "t.parquet", index=False)
    tables = [read_table(folder / f"t.{suffix}") for suffix in ("csv", "tsv", "parquet")]
    for table in tables:
        assert table.columns == ("n", "w", "d")
        np.testing.assert_array_equal(table.numbers("n"), frame["n"])
        assert table.texts("w") == [words] * len(numbers)
        np.testing.assert_allclose(table.times("d"), 1714979289.25, rtol=0, atol=1e-5)
    assert tables[2].place(2).endswith("t.parquet, row 3")


def test_whole_numbers_are_texts_without_a_point(tmp_path: Path) -> None:
    pd.DataFrame({"i": [1, 2], "f": [3.0, np.nan], "b": [True, False]}).to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert (table.texts("i"), table.texts("f"), table.texts("b")) == (["1", "2"], ["3", ""], ["True", "False"])


def test_places_count_the_lines_within_cells(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,n\n"two\nlines",1\nx,2\ny,bad\n')
    table = read_table(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=r"t.csv, line 5, column n: expected a number, got 'bad'"):
        table.numbers("n")
    assert table.texts("a") == ["two\nlines", "x", "y"]


@pytest.mark.parametrize("cell", ["1_000", "0x10", "1,5", "one", "1e", "--1", "1 2"])
def test_what_is_no_number_is_told(tmp_path: Path, cell: str) -> None:
    (tmp_path / "t.csv").write_text(f'n;a\n1;2\n"{cell}";3\n')
    with pytest.raises(ValueError, match=r"t.csv, line 3, column n: expected a number"):
        read_table(tmp_path / "t.csv").numbers("n")


def test_words_for_missing_values(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n,a\n1,x\n,x\nNA,x\nnan,x\n ? ,x\n-,x\n 7 ,x\n")
    table = read_table(tmp_path / "t.csv")
    np.testing.assert_array_equal(table.numbers("n"), [1, *[np.nan] * 5, 7])
    assert table.texts("n") == ["1", "", "", "", "", "", "7"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a,b\n\xff\xff,1\n", b"a,b\n1,2,3\n", b"", b'a,b\n"1,2\n'])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_damaged_tables_are_told(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"expected|not a readable") as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_a_small_table_takes_little_memory(tmp_path: Path) -> None:
    """A read reserves what it asks for, so that one of the largest size allowed fails on a small machine."""
    (tmp_path / "t.csv").write_text("n\n1\n")
    read_table(tmp_path / "t.csv")  # imports what it needs
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), before[1]))
    try:
        assert len(read_table(tmp_path / "t.csv")) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_pipe_without_end(tmp_path: Path) -> None:
    (tmp_path / "t.csv").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"t.csv: expected at most \d+ bytes from a pipe or device; use a file"):
        read_table(tmp_path / "t.csv")
