"""Blocks of lines are parsed as their lines are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data.readers.fields import parse_row, parse_rows

ODD = "1 -2.5 1e3 .5 3. +7 nan inf NA ? 0,5 05 1_0 0x1 x 1e999 - 1e nan(1) infinity #1 1d3 1j 1L true"
CELLS = st.sampled_from([*ODD.split(), "", " 4 ", "1 2", '"3"', "\u0663", "\t1"])


@examples(200)
@given(
    rows=st.lists(
        st.lists(st.sampled_from(["1", "2.5", "-3e-2"]) | CELLS, min_size=1, max_size=3), min_size=1, max_size=4
    ),
    delimiter=st.sampled_from([",", ";", "\t", " "]),
    width=st.integers(1, 3),
)
def test_a_block_is_its_lines(rows: list[list[str]], delimiter: str, width: int) -> None:
    lines, names = [delimiter.join(row) + "\n" for row in rows], ["a", "b", "c"][:width]
    try:
        expected: object = np.array([parse_row(line, names, f"line {n}") for n, line in enumerate(lines)])
    except ValueError as error:
        expected = str(error)
    try:
        found: object = parse_rows(lines, names, lambda n: f"line {n}")
    except ValueError as error:
        found = str(error)
    np.testing.assert_array_equal(found, expected)
