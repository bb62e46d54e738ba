"""Reading and verifying files: what is accepted, and that a bad row is named by file and line."""

import pytest

from multiresconv.data.listops import (
    encode,
    generate_listops,
    read_listops,
    read_sources,
    split_path,
    verify_listops,
)
from multiresconv.data.splits import SPLITS

ROWS = [("[MAX 2 9 ]", 9), ("( ( ( [SM 5 ) 6 ) ] )", 1), ("4", 4)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends(tmp_path, end, last, mark):
    lines = ["Source\tTarget", *(f"{source}\t{label}" for source, label in ROWS)]
    path = tmp_path / "rows.tsv"
    path.write_bytes((mark + end.join(lines) + end * last).encode())
    rows = list(read_listops(path))
    assert [(row.source, row.label) for row in rows] == ROWS
    assert [row.line for row in rows] == [2, 3, 4]
    assert [row.tokens.tolist() for row in rows] == [encode(source).tolist() for source, _ in ROWS]
    assert list(read_sources(path)) == [source for source, _ in ROWS]


def test_columns_are_found_by_name(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("id\tTarget\tSource\n" + "".join(f"x\t{label}\t{source}\n" for source, label in ROWS))
    assert [(row.source, row.label) for row in read_listops(path)] == ROWS


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("[MAX 2 9 ]", "expected 2 columns as in the header, got 1"),
        ("", "expected 2 columns as in the header, got 1"),
        ("[MAX 2 9\t9", r"Source: \[MAX is not closed"),
        ("[MAX 2 ] 9 ]\t9", "Source: ']' without an operator"),
        ("[MAX 2 [SM ] ]\t2", r"Source: \[SM has no argument"),
        ("[MAX 2 9 ] 4\t9", "Source: expected one expression, got 2"),
        ("[MAX " + "2 " * 3000 + "\t2", r"Source: \[MAX is not closed"),
        ("[MAX 2 9 ]\t9\t9", "expected 2 columns as in the header, got 3"),
        ("[MAX 2 9 ]\t10", "Target: expected a label from 0 to 9, got '10'"),
        ("[MAX 2 9 ]\t", "Target: expected a label from 0 to 9, got ''"),
        ("[MAX 2 9 ]\t-1", "Target: expected a label from 0 to 9"),
        ("[MAX 2 9 ]\tx", "Target: expected a label from 0 to 9, got 'x'"),
        ("\t9", "Source: expected an expression, got none"),
        ("[MOX 2 9 ]\t9", r"Source: unknown token '\[MOX'"),
        ("[MAX 2 \udcff ]\t9", "Source: unknown token"),
    ],
)
def test_malformed_row(tmp_path, row, message):
    path = tmp_path / "rows.tsv"
    path.write_bytes(f"Source\tTarget\n4\t4\n{row}\n5\t5\n".encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=rf"rows\.tsv, line 3: {message}"):
        list(read_listops(path))
    with pytest.raises(ValueError, match=rf"rows\.tsv, line 3: {message}"):
        verify_listops(path, progress=False)


@pytest.mark.parametrize(
    "header", ["", "source\ttarget", "Source", "[MAX 2 9 ]\t9", "Source\tTarget\tTarget", "Source\tSource\tTarget"]
)
def test_malformed_header(tmp_path, header):
    path = tmp_path / "rows.tsv"
    path.write_text(f"{header}\n4\t4\n")
    with pytest.raises(ValueError, match=r"rows\.tsv, line 1: expected a header with columns Source and Target"):
        list(read_listops(path))


def test_sources_without_labels(tmp_path):
    table, text = tmp_path / "table.tsv", tmp_path / "lines.txt"
    table.write_text("Source\n" + "".join(f"{source}\n" for source, _ in ROWS))
    text.write_text("".join(f"{source}\n" for source, _ in ROWS))
    assert list(read_sources(table)) == list(read_sources(text)) == [source for source, _ in ROWS]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("4\n\n5\n", "line 2: Source: expected an expression"),
        ("4\n[MAX 2 x ]\n", "line 2: Source: unknown token 'x'"),
        ("4\n[MAX 2 ] ]\n", "line 2: Source: ']' without"),
        ("Source\tSource\n4\t4\n", "line 1: expected one column Source"),
        ("4\t4\n", "line 1: a tab, but line 1 is no header"),
        ("Target\tSource\n4\n", "line 2: expected 2 columns"),
    ],
)
def test_malformed_sources(tmp_path, content, message):
    path = tmp_path / "in.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"in\.txt, {message}"):
        list(read_sources(path))


def test_verify_counts_rows_and_finds_the_wrong_label(tmp_path):
    generate_listops(tmp_path, n_train=30, n_val=20, n_test=10, min_length=20, max_length=100, progress=False)
    assert verify_listops(tmp_path, progress=False) == 60
    path = split_path(tmp_path, "val")
    assert verify_listops(path, progress=False) == 20
    lines = path.read_bytes().split(b"\r\n")
    label = int(lines[7][-1:])
    lines[7] = lines[7][:-1] + b"%d" % ((label + 1) % 10)
    path.write_bytes(b"\r\n".join(lines))
    message = rf"basic_val\.tsv, line 8: Target is {(label + 1) % 10}, but Source has value {label}"
    with pytest.raises(ValueError, match=message):
        verify_listops(tmp_path, progress=False)


def test_verify_finds_an_expression_without_value(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("Source\tTarget\n[MAX 2 9\t9\n")
    with pytest.raises(ValueError, match=r"rows\.tsv, line 2: Source: \[MAX is not closed"):
        verify_listops(path, progress=False)


def test_verify_wants_all_three_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"basic_train\.tsv: no such file"):
        verify_listops(tmp_path, progress=False)


def test_split_path(tmp_path):
    assert [split_path(tmp_path, split).name for split in SPLITS] == [
        "basic_train.tsv",
        "basic_val.tsv",
        "basic_test.tsv",
    ]
    with pytest.raises(ValueError, match="split: expected one of train, val, test, got 'dev'"):
        split_path(tmp_path, "dev")
