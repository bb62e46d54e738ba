"""The cache of signals: made once, equal to a fresh read, and made anew when the files or options are not the same."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from seeded import python
from tiny_recordings import make_set, signal_of, write_table, write_wav

from multiresconv.data.recordings import TableData, open_recordings
from multiresconv.data.recordings.cache import KEPT
from multiresconv.locks import share, unshared

LENGTHS = (20, 31, 7, 12)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("original"), LENGTHS, y=[0, 1, 0, 1], split=["train"] * 4)


@pytest.fixture
def data(original: Path, tmp_path: Path) -> TableData:
    folder = shutil.copytree(original.parent, tmp_path / "set")
    return TableData(folder / original.name, target="y", val_share=0.0)


def assert_faithful(data: TableData) -> None:
    rows = open_recordings(data, "class").split("train")
    for index, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(rows[index][0], signal_of(index, length))


def caches(data: TableData) -> list[Path]:
    return sorted(path for path in data.table.parent.iterdir() if path.is_dir())


def test_made_once_and_not_for_other_labels_or_windows(data: TableData, builds: list) -> None:
    assert_faithful(data)
    assert_faithful(data)
    write_table(data.table, file=[f"r{number}.wav" for number in range(4)], y=[1, 0, 0, 0], split=["train"] * 4)
    rows = open_recordings(replace(data, window=0.1, split_seed=3, workers=1), "class").split("train")
    assert rows[0][1] == 1
    assert len(builds) == 1
    assert {path.name for path in caches(data)[0].iterdir()} == {"finished.json", "offsets.npy", "signals.f32"}


def test_options_that_matter_have_caches_of_their_own(data: TableData, builds: list) -> None:
    for _ in range(2):
        for changed in (data, replace(data, channels="channel 2"), replace(data, rate=25.0)):
            open_recordings(changed, "class")
    assert len(builds) == len(caches(data)) == 3


BAD = {
    "no mark": lambda cache: (cache / "finished.json").unlink(),
    "empty mark": lambda cache: (cache / "finished.json").write_bytes(b""),
    "strange mark": lambda cache: (cache / "finished.json").write_text("[]"),
    "no signals": lambda cache: (cache / "signals.f32").unlink(),
    "cut signals": lambda cache: os.truncate(cache / "signals.f32", 100),
    "other offsets": lambda cache: np.save(cache / "offsets.npy", np.arange(5)),
    "other rows": lambda cache: (cache / "finished.json").write_text(
        json.dumps(json.loads((cache / "finished.json").read_text()) | {"kept": [0, 1]})
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_cache_is_rebuilt(data: TableData, builds: list, kind: str) -> None:
    assert_faithful(data)
    BAD[kind](caches(data)[0])
    assert_faithful(data)
    assert_faithful(data)
    assert len(builds) == 2
    assert not [path for path in data.table.parent.iterdir() if path.name.startswith(".")]


def test_a_changed_recording_is_read_anew(data: TableData, builds: list) -> None:
    old = open_recordings(data, "class").split("train")
    before = old[1][0]
    write_wav(data.table.parent / "r1.wav", signal_of(99, 8))
    new = open_recordings(data, "class").split("train")
    np.testing.assert_array_equal(new[1][0], signal_of(99, 8))
    np.testing.assert_array_equal(new[2][0], old[2][0])
    np.testing.assert_array_equal(old[1][0], before)
    assert len(builds) == 2
    write_table(data.table, file=["r3.wav", "r0.wav"], y=[0, 1], split=["train"] * 2)
    assert open_recordings(data, "class").split("train").lengths.tolist() == [12, 20]
    assert len(builds) == 3


def test_a_process_that_dies_leaves_no_cache(data: TableData, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("numpy.save", die)  # the signals are written, the offsets and the mark are not
        with pytest.raises(Killed):
            open_recordings(data, "class")
    assert caches(data) == []
    assert_faithful(data)


def test_a_file_that_holds_the_signals_is_cached_too(tmp_path: Path, builds: list) -> None:
    path = tmp_path / "a.npz"
    data = TableData(path, val_share=0.0, test_share=0.0)
    for scale in (1, 2):
        np.savez(path, X=scale * np.ones((4, 3)), y=np.arange(4))
        for kind in ("class", "value", "none"):
            rows = open_recordings(data, kind).split("train")
            np.testing.assert_array_equal(rows[0][0], scale * np.ones((3, 1)))
            assert rows[2][1] is None if kind == "none" else rows[2][1] == 2
        assert len(builds) == scale


def test_a_folder_of_its_own(data: TableData, tmp_path: Path) -> None:
    assert_faithful(replace(data, cache_folder=tmp_path / "elsewhere"))
    assert caches(data) == []


def open_at_rates(data: TableData, *rates: float) -> None:
    """Open a data set at some rates, and close it again each time."""
    for rate in rates:
        open_recordings(replace(data, rate=rate), "class")


def rates_of(data: TableData) -> set[float]:
    return {json.loads((cache / "finished.json").read_text())["rate"] for cache in caches(data)}


@pytest.mark.parametrize("name", ["labels.csv", "labels [1]*.csv"])
def test_only_the_caches_that_were_used_last_stay(data: TableData, builds: list, name: str) -> None:
    data = replace(data, table=data.table.rename(data.table.with_name(name)))
    rates = [float(10 * n) for n in range(1, KEPT + 1)]
    open_at_rates(data, *rates)
    assert len(caches(data)) == len(builds) == KEPT
    open_at_rates(data, rates[0])
    open_at_rates(data, 90.0)
    assert rates_of(data) == {rates[0], *rates[2:], 90.0}
    open_at_rates(data, *rates[2:], rates[0])
    assert len(builds) == KEPT + 1
    assert not [path for path in data.table.parent.iterdir() if path.name.startswith(".")]


def test_caches_of_other_tables_and_other_folders_stay(data: TableData) -> None:
    folder = data.table.parent
    other = shutil.copy(data.table, folder / "labels.csv-more.csv")
    open_recordings(replace(data, table=other), "class")
    for name in ("labels.csv-mine.cache", f"labels.csv-{'0' * 16}.cache"):  # the second has no mark
        (folder / name).mkdir()
    before = set(caches(data))
    open_at_rates(data, *(float(10 * n) for n in range(1, KEPT + 3)))
    assert len(set(caches(data)) - before) == KEPT
    assert before < set(caches(data))


@pytest.mark.skipif(os.name != "posix", reason="another system does not delete what is open")
def test_an_open_cache_stays(data: TableData) -> None:
    held = open_recordings(replace(data, rate=10.0), "class").split("train")
    many = [float(10 * n) for n in range(2, KEPT + 3)]
    open_at_rates(data, *many)
    assert {10.0, *many[-KEPT:]} == rates_of(data)
    del held
    open_at_rates(data, 200.0)
    assert {*many[-KEPT + 1 :], 200.0} == rates_of(data)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="another system does not delete what is open")
def test_a_cache_stays_that_another_process_has_open(data: TableData) -> None:
    """The lock is the kernel's: it holds between processes, and a killed process leaves none."""
    open_at_rates(data, 10.0)
    [cache] = caches(data)
    code = """
import sys, numpy
from multiresconv.locks import share
with open(sys.argv[1], "rb") as file:
    share(file)
    values = numpy.memmap(file, "<f4", "r")
print("open", flush=True)
sys.stdin.read()
"""
    command = python(code, cache / "signals.f32")
    many = [float(10 * n) for n in range(2, KEPT + 3)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        open_at_rates(data, *many)
        assert cache.is_dir()
        other.kill()
    open_at_rates(data, 200.0)
    assert not cache.is_dir()


def test_a_cache_that_is_being_deleted_counts_as_missing(data: TableData) -> None:
    open_recordings(data, "class")
    [cache] = caches(data)
    with unshared(cache / "signals.f32"), open(cache / "signals.f32", "rb") as file, pytest.raises(BlockingIOError):
        share(file)
    with unshared(cache / "signals.f32"):
        assert_faithful(data)
