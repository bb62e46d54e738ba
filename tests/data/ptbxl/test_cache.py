"""The cache of records: made once, and made anew whenever its files, or it, are not what they were."""

import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny_ptbxl import CODES, make_ptbxl, name_of, samples_file_of, samples_of, write_database

from multiresconv.data import cache
from multiresconv.data.ptbxl import open_ptbxl


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_ptbxl(tmp_path_factory.mktemp("original"), n=10)


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "ptbxl")


def assert_faithful(folder, **options):
    rows = open_ptbxl(folder, "train", "all", **options)
    assert rows.ecg_ids.tolist() == list(range(1, 9))
    np.testing.assert_array_equal(np.rint(rows.signals * 1000), np.stack([samples_of(i) for i in range(1, 9)]))


def test_made_once_for_all_splits_and_label_sets(folder, builds):
    for split in ("train", "val", "test"):
        for labels in ("all", "rhythm"):
            open_ptbxl(folder, split, labels)
    assert_faithful(folder)
    assert len(builds) == 1
    there = {"ptbxl_database.csv", "scp_statements.csv", "records100", "records100.cache"}
    assert {path.name for path in folder.iterdir()} == there
    assert {path.name for path in (folder / "records100.cache").iterdir()} == {"finished.json", "records.npy"}


def test_labels_are_not_cached(folder, builds):
    before = open_ptbxl(folder, "train", "all")
    write_database(folder, [[i, "", CODES[i % 2], i, name_of(i)] for i in range(1, 11)])
    after = open_ptbxl(folder, "train", "all")
    assert len(builds) == 1
    assert not np.array_equal(before.labels, after.labels)


def damaged_mark(change):
    def damage(cache):
        mark = json.loads((cache / "finished.json").read_text())
        (cache / "finished.json").write_text(json.dumps(change(mark)))

    return damage


def rewritten(cache):
    array = np.load(cache / "records.npy")
    np.save(cache / "records.npy", array + 1)


def a_file_in_its_place(cache):
    shutil.rmtree(cache)
    cache.write_text("")


BAD = {
    "no mark": lambda cache: (cache / "finished.json").unlink(),
    "empty mark": lambda cache: (cache / "finished.json").write_bytes(b""),
    "another format": damaged_mark(lambda mark: mark | {"format": 0}),
    "no reasons": damaged_mark(lambda mark: mark | {"damaged": []}),
    "strange mark": damaged_mark(lambda mark: []),
    "no array": lambda cache: (cache / "records.npy").unlink(),
    "cut array": lambda cache: os.truncate(cache / "records.npy", 1000),
    "rewritten array": rewritten,
    "a file in its place": a_file_in_its_place,
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_cache_is_rebuilt(folder, builds, kind):
    open_ptbxl(folder, "train", "all")
    BAD[kind](folder / "records100.cache")
    assert_faithful(folder)
    assert_faithful(folder)
    assert len(builds) == 2
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_changed_record_is_read_anew(folder, builds):
    old = open_ptbxl(folder, "train", "all")
    before = old.signals
    file = samples_file_of(folder / name_of(1))
    status = file.stat()
    file.write_bytes(samples_of(1)[::-1].astype("<i2").tobytes())  # of the same size and checksums
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    new = open_ptbxl(folder, "train", "all")
    np.testing.assert_array_equal(np.rint(new.signals[0] * 1000), samples_of(1)[::-1])
    np.testing.assert_array_equal(new.signals[1:], before[1:])
    np.testing.assert_array_equal(old.signals, before)
    assert len(builds) == 2


def test_records_that_come_or_go_are_noticed(folder, builds):
    away = folder.with_name("away")
    open_ptbxl(folder, "train", "all")
    samples_file_of(folder / name_of(3)).rename(away)
    assert open_ptbxl(folder, "train", "all").ecg_ids.tolist() == [1, 2, 4, 5, 6, 7, 8]
    away.rename(samples_file_of(folder / name_of(3)))
    assert_faithful(folder)
    assert len(builds) == 3


def test_a_folder_of_its_own(folder, original, tmp_path, builds):
    for _ in range(2):
        for where in (folder, original):
            assert_faithful(where, cache_folder=tmp_path / "a" / "cache")
    assert len(builds) == 2
    assert not (folder / "records100.cache").exists()


def test_a_folder_that_is_not_writable(folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(cache, "scratch_folder", refuse)
    with pytest.raises(PermissionError, match=rf"{folder}: cannot write the cache .*--data.cache_folder"):
        open_ptbxl(folder, "train", "all")


def test_a_full_disk_leaves_nothing(folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("multiresconv.data.ptbxl.cache.write_records", refuse)
    with pytest.raises(OSError, match="No space left"):
        open_ptbxl(folder, "train", "all")
    assert len(list(folder.iterdir())) == 3


def test_a_disk_that_fails_for_a_moment_does_not_brand_a_record(folder, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("wfdb.rdrecord", fail)
        with pytest.raises(OSError, match="Input/output error"):
            open_ptbxl(folder, "train", "all")
    assert_faithful(folder)


def test_many_at_once(folder):
    with ThreadPoolExecutor(4) as pool:
        checksums = {rows.checksum() for rows in pool.map(lambda _: open_ptbxl(folder, "train", "all"), range(8))}
    assert len(checksums) == 1
    assert_faithful(folder)
