"""A file that is written appears whole or not at all, and its errors name it."""

import errno
import os
from pathlib import Path

import pytest

from multiresconv.files import write_atomically, write_json


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    def fill_the_disk(part: Path) -> None:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "last.ckpt"
    path.write_text("before")
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(path, fill_the_disk)
    assert caught.value.filename == str(path)
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
    assert path.read_text() == "before"


def test_the_content_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    for name in ("fsync", "replace"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, call=call: (order.append(name), call(*args)))
    write_json(tmp_path / "numbers.json", {"a": 1})
    assert order == ["fsync", "replace"]
    assert (tmp_path / "numbers.json").read_text() == '{\n  "a": 1\n}\n'


def test_numbers_that_json_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "numbers.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())
