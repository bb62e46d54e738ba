"""Label sets: those of the published table, whatever the order of its lines, and pandas as the oracle."""

import ast
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import SHARED
from tiny_ptbxl import STATEMENTS, write_database

from multiresconv.data.ptbxl import LabelSet, read_label_names
from multiresconv.data.ptbxl.entries import read_entries
from multiresconv.data.ptbxl.labels import label_matrix, label_names, labels_of_codes, read_statements

SETS = get_args(LabelSet)
SIZES = {"all": 71, "diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19, "rhythm": 12}
TABLE = pd.read_csv(STATEMENTS, index_col=0)
CODES = list(TABLE.index)


def oracle(codes, labels):
    """The labels of a record, sorted, the way the table reads."""
    rows = TABLE.loc[list(codes)]
    if labels == "all":
        return sorted(rows.index)
    if labels in ("diagnostic", "form", "rhythm"):
        return sorted(rows.index[rows[labels] == 1])
    column = {"subdiagnostic": "diagnostic_subclass", "superdiagnostic": "diagnostic_class"}[labels]
    return sorted(set(rows[rows.diagnostic == 1][column].dropna()))


@pytest.mark.parametrize("labels", SETS)
def test_names_are_those_of_the_table(labels):
    names = read_label_names(STATEMENTS.parent, labels)
    assert len(names) == SIZES[labels]
    assert list(names) == oracle(CODES, labels)


def test_names_do_not_depend_on_the_order_of_the_lines(tmp_path):
    header, *lines = STATEMENTS.read_text().splitlines()
    (tmp_path / STATEMENTS.name).write_text("\n".join([header, *reversed(lines)]) + "\n")
    for labels in SETS:
        assert read_label_names(tmp_path, labels) == read_label_names(STATEMENTS.parent, labels)


@given(
    records=st.lists(st.sets(st.sampled_from(CODES), max_size=6), max_size=5),
    labels=st.sampled_from(SETS),
)
def test_a_record_has_the_labels_of_its_codes(records, labels):
    labels_of = labels_of_codes(read_statements(STATEMENTS.parent), labels)
    names = label_names(labels_of)
    matrix = label_matrix(records, labels_of, names)
    assert matrix.shape == (len(records), SIZES[labels])
    for row, codes in zip(matrix, records, strict=True):
        assert [names[i] for i in np.flatnonzero(row)] == oracle(codes, labels)


def test_another_label_set():
    with pytest.raises(ValueError, match=r"labels: expected one of all, diagnostic, .*, got 'super'"):
        read_label_names(STATEMENTS.parent, "super")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        (",description,diagnostic,", ",description,diagnosis,", "line 1: expected one column 'diagnostic', got 0"),
        ("NST_,", "NDT,", "line 3: expected the code of another statement, got 'NDT'"),
        ("NST_,", ",", "line 3: expected the code of another statement, got ''"),
        ("NST_,non-specific ST changes,1.0", "NST_,non-specific ST changes,yes", "line 3: diagnostic: expected 1.0"),
        ("NST_,non-specific", "NST_,non,specific", "line 3: expected 13 values as in the header, got 14"),
        ("NST_,non-specific", 'NST_,"non-specific" x', "line 3: expected CSV: "),
    ],
)
def test_a_malformed_table_of_statements(tmp_path, old, new, wrong):
    text = STATEMENTS.read_text()
    assert old in text
    (tmp_path / STATEMENTS.name).write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=f"^{tmp_path}/scp_statements.csv, {wrong}"):
        read_statements(tmp_path)


def test_a_table_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"scp_statements.csv: no such file; download PTB-XL"):
        read_statements(tmp_path)
    (tmp_path / "scp_statements.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"scp_statements.csv, after line 0: expected UTF-8"):
        read_statements(tmp_path)


GOOD = {"ecg_id": 1, "strat_fold": 3, "scp_codes": "{'NORM': 100.0}", "filename_lr": "records100/00000/00001_lr"}


def test_entries_come_by_their_number(tmp_path):
    rows = [[9, 1, "{'SR': 0}", "records100/00000/00009_lr"], ["2.0", "10.0", "{'SR': 0, 'NORM': 80.0}", "a/b"]]
    write_database(tmp_path, rows, list(GOOD))
    entries = read_entries(tmp_path, CODES)
    assert [tuple(entry) for entry in entries] == [
        (2, 10, {"SR", "NORM"}, "a/b"),
        (9, 1, {"SR"}, "records100/00000/00009_lr"),
    ]


@pytest.mark.parametrize(
    ("column", "value", "wrong"),
    [
        ("ecg_id", "x", "ecg_id: expected a number, got 'x'"),
        ("ecg_id", "1" * 5000, "ecg_id: expected a number"),
        ("ecg_id", "7", "ecg_id: there is another record of number 7"),
        ("strat_fold", "11", "strat_fold: expected 1 to 10, got '11'"),
        ("strat_fold", "", "strat_fold: expected 1 to 10, got ''"),
        ("filename_lr", "", "filename_lr: expected a path like records100/..., got ''"),
        ("filename_lr", "/etc/passwd", "filename_lr: expected a path"),
        ("filename_lr", "records100/../../x", "filename_lr: expected a path"),
        ("filename_lr", "https://example.org/x", "filename_lr: expected a path"),
        ("scp_codes", "", "scp_codes: expected a dict"),
        ("scp_codes", "['NORM']", r"scp_codes: expected a dict \{'code': likelihood, ...\}, got \"\['NORM'\]\""),
        ("scp_codes", "{'NORM': 'much'}", "scp_codes: expected a dict"),
        ("scp_codes", "{'NORM': 100.0", "scp_codes: expected a dict"),
        ("scp_codes", "{[]: 1}", "scp_codes: expected a dict"),
        ("scp_codes", "__import__('os').abort()", "scp_codes: expected a dict"),
        ("scp_codes", "{'NORM': open('/etc/passwd')}", "scp_codes: expected a dict"),
        ("scp_codes", "(" * 9000, "scp_codes: expected a dict"),
        ("scp_codes", "-" * 200_000 + "1", "field larger than|scp_codes: expected a dict"),
        ("scp_codes", "{'NORMAL': 100.0}", "scp_codes: 'NORMAL' is none of the statements of scp_statements.csv"),
    ],
)
def test_a_malformed_entry(tmp_path, column, value, wrong):
    write_database(
        tmp_path, [list((GOOD | {"ecg_id": 7}).values()), list((GOOD | {column: value}).values())], list(GOOD)
    )
    with pytest.raises(ValueError, match=wrong) as caught:
        read_entries(tmp_path, CODES)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/ptbxl_database.csv, line ")
    assert "\n" not in message
    assert len(message) < 400


def test_a_table_without_a_column_or_a_row(tmp_path):
    write_database(tmp_path, [], list(GOOD))
    with pytest.raises(ValueError, match=r"ptbxl_database.csv: expected rows below the header, got none"):
        read_entries(tmp_path, CODES)
    write_database(tmp_path, [[1, 2, "{}"]], ["ecg_id", "strat_fold", "scp_codes"])
    with pytest.raises(ValueError, match=r"line 1: expected one column 'filename_lr', got 0"):
        read_entries(tmp_path, CODES)
    (tmp_path / "ptbxl_database.csv").write_bytes(b"")
    with pytest.raises(ValueError, match=r"line 1: expected one column 'ecg_id', got 0"):
        read_entries(tmp_path, CODES)


FOLDER = SHARED / "ptbxl"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the real records are not here")
def test_the_table_is_the_published_one_and_real_entries_are_read():
    assert (FOLDER / STATEMENTS.name).read_bytes() == STATEMENTS.read_bytes()
    table = pd.read_csv(FOLDER / "ptbxl_database.csv")
    entries = read_entries(FOLDER, CODES)
    assert [entry.ecg_id for entry in entries] == table.ecg_id.tolist()
    assert [entry.fold for entry in entries] == table.strat_fold.tolist()
    assert [entry.codes for entry in entries] == [frozenset(ast.literal_eval(codes)) for codes in table.scp_codes]
