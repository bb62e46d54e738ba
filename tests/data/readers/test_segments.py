"""Records of several segments: read as one signal, with NaN where a segment lacks a lead."""

from pathlib import Path

import numpy as np
import pytest
from tiny_ptbxl import write_record

from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.read_recording import read_recording
from multiresconv.data.readers.wfdb import read_wfdb_blocks

RANDOM = np.random.default_rng(0)


def samples(length: int, leads: int) -> np.ndarray:
    return RANDOM.integers(-900, 900, (length, leads)).astype(np.int16)


def write(folder: Path) -> tuple[Path, np.ndarray]:
    """Write a record of variable layout with a gap; return its path and its signal (time, (I, V)) in mV."""
    first, second = samples(30, 2), samples(20, 1)
    write_record(folder / "a_1", first, leads=("I", "V"), gain=1000.0)
    write_record(folder / "a_2", second, leads=("v",), unit="uV", gain=1.0)
    (folder / "a_layout.hea").write_text("a_layout 2 100 0\n~ 0 1000/mV 16 0 0 0 0 I\n~ 0 1000/mV 16 0 0 0 0 V\n")
    (folder / "a.hea").write_text("a/4 2 100 57\na_layout 0\na_1 30\n~ 7\na_2 20\n# a comment\n")
    signal = np.full((57, 2), np.nan)
    signal[:30] = first / 1000
    signal[37:, 1] = second[:, 0] / 1000
    return folder / "a", signal.astype(np.float32)


def test_variable_layout(tmp_path: Path) -> None:
    path, signal = write(tmp_path)
    recording = read_recording(path)
    assert (recording.channels, recording.rate, recording.units) == (("I", "V"), 100, ("mV", "mV"))
    np.testing.assert_allclose(recording.values.T, signal, rtol=1e-6)
    chosen = read_recording(path.with_suffix(".hea"), channels=["V"], start=0.25, stop=0.5)
    np.testing.assert_allclose(chosen.values[0], signal[25:50, 1], rtol=1e-6)


def test_fixed_layout_block_by_block(tmp_path: Path) -> None:
    parts = [samples(25, 2), samples(40, 2)]
    for number, part in enumerate(parts):
        write_record(tmp_path / f"b{number}", part, leads=("I", "II"), gain=1000.0)
    (tmp_path / "b.hea").write_text("b/2 2 100 65\nb0 25\nb1 40\n")
    told: list[str] = []
    channels = Channels(("II",), unit="uV", rate=100.0)
    blocks = list(read_wfdb_blocks(tmp_path / "b", channels, 16, told.append))
    assert max(map(len, blocks)) <= 40
    np.testing.assert_allclose(np.concatenate(blocks)[:, 0], np.concatenate(parts)[:, 1], rtol=1e-6)
    assert told == ["converted from mV to uV", "left out I"]


@pytest.mark.parametrize(
    ("file", "old", "new", "wrong"),
    [
        ("a.hea", "a/4", "a/5", r"a.hea: not readable \(it counts 5 segments and names 4\)"),
        ("a.hea", "100 57", "100 58", r"a.hea: not readable \(it counts 58 samples, its segments 57\)"),
        ("a.hea", "a_1 30", "../a_1 30", r"a.hea: not readable \(segment 2 has no name and number of samples\)"),
        ("a.hea", "2 100", "2 50", r"a.hea: segment a_1: expected 50 samples a second as in the record, got 100"),
        ("a.hea", "a_1 30", "a 30", r"a.hea: a record of several segments inside a record"),
        ("a.hea", "a_1 30", "a_1 37\na_2 20", r"a.hea: not readable \(it counts 4 segments"),
        ("a_2.hea", "/uV", "/mmHg", r"a.hea: segment a_2: lead V: expected the unit mV or one that converts"),
        ("a_1.hea", " 30", " 29", r"a.hea: "),
    ],
)
def test_refused(tmp_path: Path, file: str, old: str, new: str, wrong: str) -> None:
    path, _ = write(tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=wrong):
        read_recording(path)


def test_a_damaged_segment_is_told(tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    [data] = [file for file in tmp_path.glob("a_1*") if file.suffix != ".hea"]
    content = bytearray(data.read_bytes())
    content[3] ^= 8
    data.write_bytes(content)
    with pytest.raises(ValueError, match=r"a.hea: segment a_1: lead \w+ has checksum"):
        read_recording(path)
    data.unlink()
    with pytest.raises(FileNotFoundError, match=r"a.hea: its samples are missing: .*a_1"):
        read_recording(path)
