"""The evaluator against published rows, and what it refuses."""

import pytest
from paths import SHARED, TESTS

from multiresconv.data.listops import evaluate_listops, read_listops

FOLDER = SHARED / "listops"


def label_first_rows(path):
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return [(source, int(label)) for label, source in rows]


def test_short_rows_of_the_original_listops():
    rows = label_first_rows(TESTS / "fixtures" / "listops" / "listops_spinn_short.tsv")
    assert len(rows) > 30
    assert [evaluate_listops(source) for source, _ in rows] == [label for _, label in rows]


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the public sample is not beside this checkout")
def test_all_rows_of_the_original_listops():
    rows = label_first_rows(FOLDER / "spinn_test_d20s.tsv")
    assert len(rows) == 10_000
    assert [evaluate_listops(source) for source, _ in rows] == [label for _, label in rows]


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the public sample is not beside this checkout")
def test_all_rows_of_the_long_range_arena_sample():
    rows = list(read_listops(FOLDER / "basic_sample.tsv"))
    assert len(rows) == 2_000
    assert [evaluate_listops(row.source) for row in rows] == [row.label for row in rows]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("7", 7),
        ("[MAX 2 9 [MIN 4 7 ] 0 ]", 9),
        ("[MIN 4 7 ]", 4),
        ("[MED 1 4 ]", 2),  # 2.5, rounded down
        ("[MED 9 0 5 ]", 5),
        ("[SM 7 8 9 ]", 4),
        ("( ( ( [SM 5 ) ( ( ( [MED 2 ) 8 ) ] ) ) ] )", 0),
    ],
)
def test_values(source, value):
    assert evaluate_listops(source) == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "expected one expression, got 0"),
        ("( )", "expected one expression, got 0"),
        ("4 5", "expected one expression, got 2"),
        ("[MAX 1 2 ] 3", "expected one expression, got 2"),
        ("[MAX 1 2", r"\[MAX is not closed"),
        ("[MAX 1 2 ] ]", "']' without an operator"),
        ("[MAX [MIN ] 2 ]", r"\[MIN has no argument"),
        ("[SUM 1 2 ]", r"unknown token '\[SUM'"),
        ("[MAX 1 12 ]", "unknown token '12'"),
        ("[MAX 1 \u0663 ]", "unknown token"),  # an Arabic digit, which int() would take
        ("( [MAX 1 2 ]", r"1 of the '\(' not closed"),
        (") [MAX 1 2 ] (", r"'\)' without '\('"),
    ],
)
def test_malformed(source, message):
    with pytest.raises(ValueError, match=message):
        evaluate_listops(source)
