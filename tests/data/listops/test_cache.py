"""The cache: faithful to the file, made once, and made anew whenever it may not be trusted."""

import errno
import json
import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from seeded import python

from multiresconv.data import cache
from multiresconv.data.listops import generate_listops, open_split, read_listops, split_path


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listops")
    generate_listops(folder, n_train=50, n_val=30, n_test=20, min_length=20, max_length=100, progress=False)
    return split_path(folder, "train")


@pytest.fixture
def path(original, tmp_path):
    return shutil.copy(original, tmp_path / "basic_train.tsv")


def assert_faithful(split, path):
    rows = list(read_listops(path))
    assert len(split) == len(rows)
    assert [(tokens.tolist(), label) for tokens, label in split] == [(r.tokens.tolist(), r.label) for r in rows]
    assert split.lengths.dtype == np.int64
    assert split.lengths.tolist() == [len(r.tokens) for r in rows]
    assert split.labels.tolist() == [r.label for r in rows]


def test_made_once_and_mapped(path, builds):
    assert_faithful(open_split(path), path)
    split = open_split(path)
    assert_faithful(split, path)
    assert len(builds) == 1
    assert split[0][0].dtype == np.uint8
    assert isinstance(split.tokens.base, np.memmap)
    assert sorted(p.name for p in path.parent.iterdir()) == ["basic_train.tsv", "basic_train.tsv.cache"]
    with pytest.raises(IndexError, match="index: expected 0 to 49, got 50"):
        split[50]


def truncate(name):
    def damage(cache):
        os.truncate(cache / name, (cache / name).stat().st_size // 2)

    return damage


def flip(name):
    def damage(cache):
        data = bytearray((cache / name).read_bytes())
        data[-1] ^= 1
        (cache / name).write_bytes(data)

    return damage


def remove(name):
    return lambda cache: (cache / name).unlink()


def empty(name):
    return lambda cache: (cache / name).write_bytes(b"")


def older_format(cache):
    mark = json.loads((cache / "finished.json").read_text())
    mark["format"] -= 1
    (cache / "finished.json").write_text(json.dumps(mark))


def strange_mark(cache):
    (cache / "finished.json").write_text("[]")


def a_file_in_its_place(cache):
    shutil.rmtree(cache)
    cache.write_text("")


ARRAYS = ["tokens.npy", "offsets.npy", "labels.npy"]


@pytest.mark.parametrize(
    "damage",
    [
        *(kind(name) for kind in (truncate, flip, remove, empty) for name in ARRAYS),
        *(kind("finished.json") for kind in (truncate, remove, empty)),
        older_format,
        strange_mark,
        a_file_in_its_place,
    ],
)
def test_a_bad_cache_is_rebuilt(path, builds, damage):
    open_split(path)
    damage(path.with_name("basic_train.tsv.cache"))
    assert_faithful(open_split(path), path)
    open_split(path)
    assert len(builds) == 2
    assert sorted(p.name for p in path.parent.iterdir()) == ["basic_train.tsv", "basic_train.tsv.cache"]


def test_a_changed_file_is_read_anew(path, builds):
    old = open_split(path)
    before = [tokens.tolist() for tokens, _ in old]
    time = path.stat().st_mtime_ns
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *reversed(lines[1:])]))  # of the same size
    os.utime(path, ns=(time + 1, time + 1))
    assert_faithful(open_split(path), path)
    assert [tokens.tolist() for tokens, _ in old] == before
    path.write_bytes(b"".join(lines[:-1]))
    os.utime(path, ns=(time + 1, time + 1))  # of the same time
    assert_faithful(open_split(path), path)
    assert len(builds) == 3


def test_another_file_with_the_same_size_and_time_is_read_anew_and_a_copy_is_not(path, builds):
    open_split(path)
    lines, status = path.read_bytes().splitlines(keepends=True), path.stat()
    for content in (lines, [lines[0], *reversed(lines[1:])]):  # the same, then other ones
        other = path.with_name("other.tsv")
        other.write_bytes(b"".join(content))
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(other, path)
        assert_faithful(open_split(path), path)
    assert len(builds) == 2


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="asks whether a process lives")
def test_what_a_killed_process_left_is_removed(path):
    dead = subprocess.run(python("import os; print(os.getpid())"), capture_output=True, text=True)
    left, theirs = (
        path.with_name(f".basic_train.tsv.cache-{socket.gethostname()}-{process}-x")
        for process in (int(dead.stdout), os.getppid())
    )
    for folder in (left, theirs):
        (folder / "fresh").mkdir(parents=True)
    open_split(path)
    assert not left.exists()
    assert theirs.exists()


def test_a_killed_build_leaves_no_cache(path, monkeypatch):
    saved = []

    def killed(file, *args, **kwargs):
        saved.append(file)
        if len(saved) == 2:
            raise KeyboardInterrupt
        file.write_bytes(b"half")

    monkeypatch.setattr(np, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        open_split(path)
    assert [p.name for p in path.parent.iterdir()] == ["basic_train.tsv"]
    monkeypatch.undo()
    assert_faithful(open_split(path), path)


@pytest.mark.parametrize("stale", [False, True])
def test_builders_at_once(path, stale):
    if stale:
        open_split(path)
        (path.with_name("basic_train.tsv.cache") / "labels.npy").unlink()
    with ThreadPoolExecutor(8) as pool:
        for split in pool.map(lambda _: open_split(path), range(8)):
            assert_faithful(split, path)
    assert sorted(p.name for p in path.parent.iterdir()) == ["basic_train.tsv", "basic_train.tsv.cache"]


def test_another_folder_for_the_cache(path, tmp_path, builds):
    other = shutil.copy(path, tmp_path / "other.tsv")
    same_name = tmp_path / "elsewhere" / path.name
    same_name.parent.mkdir()
    lines = path.read_bytes().splitlines(keepends=True)
    same_name.write_bytes(b"".join(lines[:5]))
    caches = tmp_path / "caches"
    for file in (path, other, same_name) * 2:
        assert_faithful(open_split(file, cache_folder=caches), file)
    assert len(builds) == len(list(caches.iterdir())) == 3
    assert not list(tmp_path.glob("*.cache"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_no_permission_names_the_way_out(path, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cache, "scratch_folder", refuse)
    with pytest.raises(
        PermissionError, match=r"cannot write the cache of basic_train\.tsv here .*--data\.cache_folder"
    ):
        open_split(path)


def test_the_checksum_tells_rows_from_others_not_files(path, tmp_path):
    rows = path.read_bytes().splitlines(keepends=True)
    same, cut = tmp_path / "same.tsv", tmp_path / "cut.tsv"
    same.write_bytes(b"".join(rows).replace(b"\r\n", b"\n"))
    cut.write_bytes(b"".join(rows[:-1]))
    assert open_split(same).checksum() == open_split(path).checksum() != open_split(cut).checksum()


def test_no_file_and_no_rows(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.tsv: no such file"):
        open_split(tmp_path / "none.tsv")
    with pytest.raises(FileNotFoundError, match="a folder, expected a file"):
        open_split(tmp_path)
    (tmp_path / "empty.tsv").write_text("Source\tTarget\n")
    with pytest.raises(ValueError, match=r"empty\.tsv: expected rows below the header, got none"):
        open_split(tmp_path / "empty.tsv")
