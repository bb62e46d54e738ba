"""WFDB records: the same answer, a remark, or one line that names the header."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from small_models import LEADS, signal
from tiny_ptbxl import header_of, in_header, samples_file_of, write_record

from multiresconv.data.readers.channels import Channels
from multiresconv.data.readers.wfdb import read_wfdb_blocks

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "a"
    write_record(path, np.rint(1000 * signal()).astype(np.int16), leads=LEADS)
    return path


@pytest.fixture
def expected(predicted: Any, tmp_path: Path) -> dict[str, float]:
    np.save(tmp_path / "good.npy", signal())
    return predicted("signal", tmp_path / "good.npy").rows[0]


def change_fields(number: int, value: str) -> Callable[[Path], None]:
    """Write `value` into a field, counted from 0, of each channel's line."""

    def change(path: Path) -> None:
        first, *lines = header_of(path).read_text().splitlines()
        changed = [" ".join([*line.split()[:number], value, *line.split()[number + 1 :]]) for line in lines]
        header_of(path).write_text("\n".join([first, *changed]) + "\n")

    return change


def write(**options: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        write_record(path, np.rint(1000 * signal()).astype(np.int16), **{"leads": LEADS, **options})

    return change


def other_order(path: Path) -> None:
    write_record(path, np.rint(1000 * signal()[:, ::-1]).astype(np.int16), leads=LEADS[::-1])


def without_checksums(path: Path) -> None:
    """Keep file, format, gain and name of each channel; the other fields are optional."""
    first, *lines = header_of(path).read_text().splitlines()
    short = [" ".join([*line.split()[:3], line.split()[-1]]) for line in lines]
    header_of(path).write_text("\n".join([first, *short]) + "\n")


SAME: dict[str, tuple[Callable[[Path], object], str]] = {
    "as it is": (lambda path: None, ""),
    "another order of leads": (other_order, ""),
    "small letters": (write(leads=("i", "ii", "v1")), ""),
    "microvolts": (write(unit="uV", gain=1.0), "converted from uV to mV"),
    "volts": (write(unit="V", gain=1e6), "converted from V to mV"),
    "no checksums": (without_checksums, "no checksum of I, II, V1"),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_record_gives_the_same_answer(
    case: str, record: Path, expected: dict[str, float], predicted: Any
) -> None:
    change, said = SAME[case]
    change(record)
    seen = predicted("signal", record)
    assert seen.code == 0
    assert seen.rows[0] == pytest.approx(expected, rel=1e-5)
    assert len(seen.said) == (1 if said else 0)
    for line in seen.said:
        assert said in line


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a gain of 0": (change_fields(2, "0(0)/mV"), "expected a gain other than 0"),
    "no gain": (change_fields(2, "/mV"), "gain"),
    "an unknown format": (change_fields(1, "17"), "format 17"),
    "a format of text": (change_fields(1, "x"), "format x"),
    "a checksum of text": (change_fields(6, "x"), "checksum x"),
    "another checksum": (change_fields(6, "1"), "checksum"),
    "another unit": (write(unit="mmHg"), "expected the unit mV"),
    "another rate": (write(rate=500), "expected 100 samples a second, got 500"),
    "other leads": (write(leads=("I", "II", "V2")), "expected the leads I, II, V1"),
    "several segments": (in_header("a 3 100", "a/2 3 100"), "counts 2 segments and names 3"),
    "several samples in a frame": (change_fields(1, "16x2"), "2 samples in a frame"),
    "many channels": (in_header("a 3 100", "a 999999 100"), "counts 999999 channels"),
    "a count of text": (in_header("a 3 100", "a x 100"), "not readable"),
    "no line": (lambda path: header_of(path).write_text(""), "not readable"),
    "more samples than there are": (in_header("100 40", "100 50000000"), "not readable"),
    "a long header": (lambda path: header_of(path).write_text("#" * (1 << 20) + "#"), "header of at most"),
    "no samples": (lambda path: samples_file_of(path).write_bytes(b""), "not readable"),
    "missing samples": (lambda path: samples_file_of(path).unlink(), "its samples are missing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str, record: Path, predicted: Any) -> None:
    change, said = REFUSED[case]
    change(record)
    seen = predicted("signal", record)
    assert (seen.code, seen.rows, len(seen.said)) == (2, [], 1)
    assert str(header_of(record)) in seen.said[0]
    assert said in seen.said[0]


def test_a_further_lead_is_left_out(record: Path, predicted: Any) -> None:
    alone = predicted("signal", record)
    samples = np.rint(1000 * signal()).astype(np.int16)
    write_record(record, samples[:, [0, 0, 1, 2]], leads=("I", "X", "II", "V1"))
    seen = predicted("signal", record)
    assert (alone.code, seen.code, len(seen.rows)) == (0, 0, 1)
    assert "left out X" in seen.said[0]


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212"])
def test_sections_are_the_whole(fmt: str, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-100, 100, (101, 3))
    arguments: dict[str, Any] = {"units": ["mV"] * 3, "sig_name": list(LEADS), "adc_gain": [200.0] * 3}
    wfdb.wrsamp("a", fs=100, d_signal=samples, fmt=[fmt] * 3, baseline=[0] * 3, write_dir=str(tmp_path), **arguments)
    channels = Channels(LEADS, "mV", 100.0)
    blocks = list(read_wfdb_blocks(tmp_path / "a", channels, 17, lambda remark: None))
    assert [len(block) for block in blocks] == [17] * 5 + [16]
    np.testing.assert_array_equal(np.concatenate(blocks), (samples / 200).astype(np.float32))


def test_a_flipped_bit_is_seen_after_the_last_section(record: Path) -> None:
    data = bytearray(samples_file_of(record).read_bytes())
    data[5] ^= 1
    samples_file_of(record).write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.hea: lead V1 has checksum"):
        list(read_wfdb_blocks(record, Channels(LEADS, "mV", 100.0), 16, lambda remark: None))
