"""Records: what was written is read, and nothing that is off gets through."""

import shutil
import subprocess

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st
from paths import SHARED
from profiles import examples
from seeded import python
from tiny_ptbxl import DAMAGE, header_of, samples_file_of, samples_of, write_record

from multiresconv.data.ptbxl import LEADS
from multiresconv.data.readers.wfdb import read_wfdb
from multiresconv.installation import how_to_install

FOLDER = SHARED / "ptbxl"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    write_record(folder / "00001_lr", samples_of(1))
    return folder


@pytest.fixture
def path(original, tmp_path):
    return shutil.copytree(original, tmp_path, dirs_exist_ok=True) / "00001_lr"


def test_any_name_of_a_record(path):
    for name in (path, str(path), path.with_name("00001_lr.hea"), path.with_name("00001_lr.dat")):
        signal, rate = read_wfdb(name, LEADS)
        np.testing.assert_array_equal(signal, samples_of(1).astype(np.float32) / np.float32(1000))
        assert signal.dtype == np.float32
        assert rate == 100


@examples(15)
@given(
    length=st.integers(1, 60),
    rate=st.sampled_from([100, 250.5, 500]),
    leads=st.permutations(LEADS),
    unit=st.sampled_from([("mV", 1.0), ("uV", 1e-3), ("V", 1e3)]),
    gain=st.sampled_from([1.0, 200.0, 1000.0]),
    lower=st.booleans(),
)
def test_what_was_written_is_read(tmp_path_factory, length, rate, leads, unit, gain, lower):
    path = tmp_path_factory.mktemp("record") / "a-1"
    samples = samples_of(3, length)
    names = [lead.replace("A", "a") if lower else lead for lead in leads]  # aVR
    write_record(path, samples, rate=rate, leads=names, unit=unit[0], gain=gain)
    signal, seen = read_wfdb(path, LEADS)
    assert seen == rate
    in_order = samples[:, [leads.index(lead) for lead in LEADS]]
    np.testing.assert_allclose(signal, in_order / gain * unit[1], rtol=1e-6)


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_told(path, kind):
    damage, wrong = DAMAGE[kind]
    damage(path)
    with pytest.raises(ValueError, match=wrong) as caught:
        read_wfdb(path, LEADS)
    assert str(caught.value).startswith(f"{header_of(path)}: ")


def test_a_missing_file_is_told(path):
    samples_file_of(path).unlink()
    with pytest.raises(FileNotFoundError, match=r"00001_lr.hea: its samples are missing: .*00001_lr.dat"):
        read_wfdb(path, LEADS)
    header_of(path).unlink()
    with pytest.raises(FileNotFoundError, match=r"00001_lr.hea: no such file; expected the header of a WFDB record"):
        read_wfdb(path, LEADS)


@pytest.mark.slow
def test_a_missing_extra_is_told_and_nothing_else_needs_it(path):
    code = f"""
import sys
sys.modules["wfdb"] = None
import multiresconv.data.ptbxl
from multiresconv.data.readers.wfdb import read_wfdb
assert "pandas" not in sys.modules
try:
    read_wfdb({str(path)!r}, {LEADS})
except ModuleNotFoundError as error:
    print(error)
"""
    told = subprocess.run(python(code), capture_output=True, text=True, check=True)
    assert told.stdout == f"ECG records need wfdb: {how_to_install('ecg')}\n"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the real records are not here")
def test_real_records_are_what_wfdb_reads():
    for name in ("00001_lr", "00400_lr"):
        path = FOLDER / "records100" / "00000" / name
        signal, rate = read_wfdb(path, LEADS)
        expected = wfdb.rdrecord(str(path))
        assert expected.sig_name == list(LEADS)
        np.testing.assert_allclose(signal, expected.p_signal, atol=1e-6)
        assert rate == expected.fs


def test_a_checksum_may_be_written_with_its_sign(path):
    first, *lines = header_of(path).read_text().splitlines()
    fields = lines[0].split()
    fields[6] = str(int(fields[6]) - 65536)
    header_of(path).write_text("\n".join([first, " ".join(fields), *lines[1:]]) + "\n")
    assert read_wfdb(path, LEADS)[0].shape == (1000, 12)
