"""A disk that is full or cannot be written: one line names the file, and no half file is left."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tiny_run import train

from multiresconv.files import write_atomically
from multiresconv.runs.directory import RunDirectory

pytestmark = pytest.mark.slow


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("size", "name"), [(100, "config.yaml"), (4000, "checkpoints/last.ckpt")])
def test_a_full_disk_names_the_file(
    size: int, name: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    train(data, tmp_path / "before", trainer__epochs=1)  # writes the caches of the data
    capsys.readouterr()
    with files_of_at_most(size):
        assert train(data, run, trainer__epochs=1) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == f"multiresconv: error: {run / name}: File too large"
    assert not (run / name).exists()
    assert [path.name for path in run.rglob("*.part-*")] == []


def test_a_line_that_cannot_be_written_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as caught:
        RunDirectory(tmp_path).append_metrics({"kind": "train"})
    assert caught.value.filename == str(tmp_path / "metrics.jsonl")


def test_an_error_without_a_number_names_the_file_too(tmp_path: Path) -> None:
    """NumPy's own error of a full disk names nothing."""
    path = tmp_path / "samples.npy"
    with files_of_at_most(4096), pytest.raises(OSError, match=r"samples\.npy"):
        write_atomically(path, lambda part: np.save(part, np.zeros(10_000)))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(data, Path("/proc/run"), trainer__epochs=1) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("multiresconv: error: /proc/run")
