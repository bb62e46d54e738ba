"""Splits of PTB-XL: the folds, the labels, and which records are left out and told of."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from paths import SHARED
from tiny_ptbxl import (
    CODES,
    DAMAGE,
    header_of,
    make_ptbxl,
    name_of,
    samples_file_of,
    samples_of,
    write_database,
    write_record,
)
from torch.utils.data import DataLoader

from multiresconv.data.ptbxl import Standardiser, fit_standardiser, open_ptbxl

FOLDER = SHARED / "ptbxl"
FOLDS = {"train": range(1, 9), "val": [9], "test": [10]}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_ptbxl(tmp_path_factory.mktemp("original"))


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "ptbxl")


def ids_of(split):
    return [i for i in range(1, 21) if (i - 1) % 10 + 1 in FOLDS[split]]


@pytest.mark.parametrize("split", FOLDS)
def test_a_split_has_the_records_of_its_folds(folder, split, capsys):
    rows = open_ptbxl(folder, split, "superdiagnostic")
    with_a_class = [i for i in ids_of(split) if "AFIB" not in CODES[i % 4]]
    assert rows.ecg_ids.tolist() == with_a_class
    assert rows.label_names == ("CD", "HYP", "MI", "NORM", "STTC")
    of_codes = [["NORM"], ["MI"], [], ["HYP", "STTC"]]
    for i, (ecg_id, (signal, labels)) in enumerate(zip(with_a_class, rows, strict=True)):
        np.testing.assert_array_equal(signal, samples_of(ecg_id) / np.float32(1000))
        assert [name for name, label in zip(rows.label_names, labels, strict=True) if label] == of_codes[ecg_id % 4]
        assert signal.dtype == labels.dtype == np.float32
        np.testing.assert_array_equal(rows.signals[i], signal)
    assert len(rows) == len(rows.labels) == len(with_a_class)
    assert rows.lengths.tolist() == [1000] * len(rows)
    assert isinstance(rows.records, np.memmap)
    assert capsys.readouterr().err == ""
    with pytest.raises(IndexError, match="index: expected 0 to"):
        rows[len(rows)]


def test_a_row_may_be_written_to_and_others_do_not_see_it(folder):
    rows = open_ptbxl(folder, "val", "all")
    rows[0][0][:] = 0
    assert rows[0][0].any()


def test_all_records_have_a_statement_and_those_without_one_are_left_out(folder):
    assert open_ptbxl(folder, "train", "all").ecg_ids.tolist() == ids_of("train")
    rows = [[i, "", "{}" if i == 3 else CODES[0], 1, name_of(i)] for i in range(1, 6)]
    write_database(folder, rows)
    assert open_ptbxl(folder, "train", "all").ecg_ids.tolist() == [1, 2, 4, 5]


def shorter(record):
    write_record(record, samples_of(1, 999))


def faster(record):
    write_record(record, samples_of(1), rate=500)


SKIPPED = {
    **DAMAGE,
    "shorter": (shorter, "expected 1000 samples at 100 Hz, got 999 at 100 Hz"),
    "faster": (faster, "expected 1000 samples at 100 Hz, got 1000 at 500 Hz"),
}


@pytest.mark.parametrize("kind", SKIPPED)
def test_a_record_that_is_off_is_named_and_skipped(folder, kind, capsys):
    whole = open_ptbxl(folder, "train", "all")
    damage, wrong = SKIPPED[kind]
    damage(folder / name_of(1))
    rows = open_ptbxl(folder, "train", "all")
    assert rows.ecg_ids.tolist() == ids_of("train")[1:]
    np.testing.assert_array_equal(rows.signals, whole.signals[1:])
    np.testing.assert_array_equal(rows.labels, whole.labels[1:])
    [(ecg_id, reason)] = rows.damaged
    assert ecg_id == 1
    assert reason.startswith(f"{name_of(1)}: ")
    with pytest.raises(AssertionError, match=wrong):
        raise AssertionError(reason)
    first, second = capsys.readouterr().err.splitlines()[-2:]
    assert first == f"{folder}, train: 1 of 16 records skipped"
    assert second == f"  1 is damaged: {reason}"
    assert open_ptbxl(folder, "val", "all").damaged == ()
    assert capsys.readouterr().err == ""
    expected = np.concatenate([samples_of(i) for i in ids_of("train")[1:]]) / 1000
    assert fit_standardiser(rows) == pytest.approx((expected.mean(), expected.std()), rel=1e-6)


def test_missing_records_are_counted(folder, capsys):
    for i in ids_of("train")[2:]:
        header_of(folder / name_of(i)).unlink()
    samples_file_of(folder / name_of(2)).unlink()
    rows = open_ptbxl(folder, "train", "all")
    assert rows.ecg_ids.tolist() == [1]
    assert rows.missing == tuple(ids_of("train")[1:])
    told = capsys.readouterr().err
    assert told == f"{folder}, train: 15 of 16 records skipped\n  15 are not there: 2, 3, 4, ...\n"
    open_ptbxl(folder, "train", "all")
    assert capsys.readouterr().err == ""  # once is enough


def test_many_damaged_records_are_not_all_listed(tmp_path, capsys):
    folder = make_ptbxl(tmp_path, n=1)
    for suffix in ("hea", "dat"):
        content = (folder / f"{name_of(1)}.{suffix}").read_bytes()
        for i in range(2, 31):
            (folder / f"{name_of(i)}.{suffix}").write_bytes(content if suffix == "dat" else b"")
    write_database(folder, [[i, "", CODES[0], 1, name_of(i)] for i in range(1, 31)])
    assert len(open_ptbxl(folder, "train", "all").damaged) == 29
    lines = capsys.readouterr().err.splitlines()
    assert lines[-22] == f"{folder}, train: 29 of 30 records skipped"
    assert lines[-1] == "  9 more are damaged"


def test_a_split_without_a_record_is_an_error(folder, capsys):
    write_database(folder, [[i, "", CODES[2], (9 if i < 3 else 1), name_of(i)] for i in range(1, 6)])
    nothing = "no usable record with a label of '{}' in split '{}': of {} records listed {} have one; {}"
    with pytest.raises(ValueError, match=nothing.format("subdiagnostic", "val", 2, 0, "0 of these are there")):
        open_ptbxl(folder, "val", "subdiagnostic")
    with pytest.raises(ValueError, match=nothing.format("all", "test", 0, 0, "0 of these are there")):
        open_ptbxl(folder, "test", "all")
    header_of(folder / name_of(1)).write_bytes(b"")
    header_of(folder / name_of(2)).unlink()
    with pytest.raises(ValueError, match=nothing.format("all", "val", 2, 2, "1 of these are not there, 1 are damaged")):
        open_ptbxl(folder, "val", "all")
    assert "  1 is damaged: records100/00000/00001_lr: not readable" in capsys.readouterr().err
    for i in range(1, 6):
        header_of(folder / name_of(i)).unlink(missing_ok=True)
    with pytest.raises(ValueError, match=nothing.format("all", "val", 2, 2, "0 of these are there")):
        open_ptbxl(folder, "val", "all")


def test_a_folder_that_is_not_one(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder; name another folder, or download: multires"):
        open_ptbxl(tmp_path / "nowhere", "val", "all")
    with pytest.raises(ValueError, match=r"split: expected one of train, val, test, got 'dev'"):
        open_ptbxl(folder, "dev", "all")
    for name in ("ptbxl_database.csv", "scp_statements.csv"):
        (folder / name).rename(folder / "away")
        with pytest.raises(FileNotFoundError, match=f"it has no {name}"):
            open_ptbxl(folder, "val", "all")
        (folder / "away").rename(folder / name)


def test_workers_get_the_file_and_not_its_content(folder):
    rows = open_ptbxl(folder, "train", "all")
    content = pickle.dumps(rows)
    assert len(content) < 10_000
    copy = pickle.loads(content)
    assert isinstance(copy.records, np.memmap)
    assert copy.checksum() == rows.checksum()
    loaded = [signals for signals, _ in DataLoader(rows, batch_size=4, num_workers=1)]
    np.testing.assert_array_equal(torch.cat(loaded), rows.signals)


def test_the_checksum_sees_signals_labels_and_names(folder):
    rows = [open_ptbxl(folder, "train", labels).checksum() for labels in ("all", "form", "rhythm", "diagnostic")]
    write_record(folder / name_of(1), samples_of(99))
    rows.append(open_ptbxl(folder, "train", "all").checksum())
    write_record(folder / name_of(1), samples_of(1))
    assert open_ptbxl(folder, "train", "all").checksum() == rows[0]
    write_database(folder, [[i, "", CODES[0], (i - 1) % 10 + 1, name_of(i)] for i in range(1, 21)])
    rows.append(open_ptbxl(folder, "train", "all").checksum())
    assert len(set(rows)) == len(rows)


def test_one_mean_and_deviation_for_all_leads(folder):
    rows = open_ptbxl(folder, "train", "all")
    standardise = fit_standardiser(rows)
    signals = rows.signals.astype(np.float64)
    assert standardise == pytest.approx((signals.mean(), signals.std()), rel=1e-9)
    standardised = standardise(rows.signals)
    assert abs(standardised.mean()) < 1e-4
    assert abs(standardised.std() - 1) < 1e-4
    np.testing.assert_allclose(standardise(torch.from_numpy(rows.signals)), standardised, atol=1e-6)
    assert Standardiser(**standardise._asdict()) == standardise
    write_database(folder, [[1, "", CODES[0], 1, name_of(1)]])
    write_record(folder / name_of(1), np.full((1000, 12), 7, np.int16))
    with pytest.raises(ValueError, match=r"split: expected samples that differ, all 12000 are 0.007"):
        fit_standardiser(open_ptbxl(folder, "train", "all"))


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the real records are not here")
def test_real_records(tmp_path, capsys):
    sizes = {"all": (276, 70, 54), "superdiagnostic": (275, 62, 53), "form": (64, 21, 13), "rhythm": (264, 65, 53)}
    for labels, expected in sizes.items():
        rows = [open_ptbxl(FOLDER, split, labels, cache_folder=tmp_path) for split in FOLDS]
        assert tuple(map(len, rows)) == expected
        assert all(split.labels.any(1).all() for split in rows)
    assert capsys.readouterr().err == ""
    mean, std = fit_standardiser(open_ptbxl(FOLDER, "train", "all", cache_folder=tmp_path))
    assert abs(mean) < 0.01
    assert 0.2 < std < 0.3
