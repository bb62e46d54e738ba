"""Every format gives back what its own library wrote, whole or in part."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyedflib
import pytest
import soundfile
import wfdb
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from seeded import python

from multiresconv.data.readers.read_recording import read_recording
from multiresconv.installation import how_to_install

RATE = 200
NAMES = ("I", "II", "V1")


def as_csv(path: Path, signal: np.ndarray) -> None:
    frame(signal).to_csv(path, index=False)


def as_tsv(path: Path, signal: np.ndarray) -> None:
    frame(signal).to_csv(path, index=False, sep="\t", na_rep="NaN")


def as_parquet(path: Path, signal: np.ndarray) -> None:
    frame(signal).to_parquet(path, index=False, row_group_size=17)


def frame(signal: np.ndarray) -> pd.DataFrame:
    columns = dict(zip(NAMES, signal, strict=True))
    return pd.DataFrame({"time": np.arange(signal.shape[1]) / RATE, **columns})


def as_npy(path: Path, signal: np.ndarray) -> None:
    np.save(path, signal.T)


def as_wav(path: Path, signal: np.ndarray) -> None:
    soundfile.write(path, signal.T, RATE, subtype="FLOAT")


def as_flac(path: Path, signal: np.ndarray) -> None:
    soundfile.write(path, signal.T / 16, RATE, subtype="PCM_24")


def as_edf(path: Path, signal: np.ndarray, rates: tuple[int, ...] = (RATE,) * 3) -> None:
    kind = pyedflib.FILETYPE_BDF if path.suffix == ".bdf" else pyedflib.FILETYPE_EDF
    limits = (2**23 - 1, -(2**23)) if path.suffix == ".bdf" else (2**15 - 1, -(2**15))
    with pyedflib.EdfWriter(str(path), len(signal), file_type=kind) as writer:
        writer.setSignalHeaders(
            [
                {
                    "label": name,
                    "dimension": "uV",
                    "sample_frequency": rate,
                    "physical_max": 10,
                    "physical_min": -10,
                    "digital_max": limits[0],
                    "digital_min": limits[1],
                    "transducer": "",
                    "prefilter": "",
                }
                for name, rate in zip(NAMES, rates, strict=True)
            ]
        )
        writer.writeSamples([row.astype(np.float64) for row in signal])


def as_wfdb(path: Path, signal: np.ndarray) -> None:
    wfdb.wrsamp(
        path.stem,
        fs=RATE,
        units=["mV"] * 3,
        sig_name=list(NAMES),
        p_signal=signal.T.astype(np.float64),
        fmt=["32"] * 3,
        adc_gain=[1e6] * 3,
        baseline=[0] * 3,
        write_dir=str(path.parent),
    )


NUMBERED = ("channel 1", "channel 2", "channel 3")
FORMATS = {  # suffix -> writer, names, rate, units, scale, precision, NaN can be written
    ".csv": (as_csv, NAMES, RATE, None, 1, 0, True),
    ".tsv": (as_tsv, NAMES, RATE, None, 1, 0, True),
    ".parquet": (as_parquet, NAMES, RATE, None, 1, 0, True),
    ".npy": (as_npy, NUMBERED, None, None, 1, 0, True),
    ".wav": (as_wav, NUMBERED, RATE, None, 1, 0, True),
    ".flac": (as_flac, NUMBERED, RATE, None, 1 / 16, 2e-7, False),
    ".edf": (as_edf, NAMES, RATE, ("uV",) * 3, 1, 3.1e-4, False),
    ".bdf": (as_edf, NAMES, RATE, ("uV",) * 3, 1, 2e-6, False),
    ".hea": (as_wfdb, NAMES, RATE, ("mV",) * 3, 1, 1e-6, True),
}


def signal_of(length: int, *, missing: bool) -> np.ndarray:
    signal = np.clip(np.random.default_rng(length).normal(size=(3, length)), -9, 9).astype(np.float32)
    if missing:
        signal[1, length // 3 :: 7] = np.nan
    return signal


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_was_written_is_read(tmp_path: Path, suffix: str) -> None:
    write, names, rate, units, scale, precision, missing = FORMATS[suffix]
    signal, path = signal_of(2 * RATE, missing=missing), tmp_path / f"a{suffix}"
    write(path, signal)
    recording = read_recording(path)
    assert recording[1:] == (names, rate, units)
    assert recording.values.dtype == np.float32
    assert recording.values.flags.c_contiguous
    np.testing.assert_allclose(recording.values, signal * scale, atol=precision, rtol=0)


@pytest.mark.parametrize("suffix", FORMATS)
@examples(12)
@given(data=st.data())
def test_a_section_is_a_section_of_the_whole(tmp_path_factory: pytest.TempPathFactory, suffix: str, data) -> None:
    write, names, rate, _, _, _, missing = FORMATS[suffix]
    path = tmp_path_factory.mktemp("part") / f"a{suffix}"
    write(path, signal_of(2 * RATE, missing=missing))
    chosen = data.draw(st.lists(st.sampled_from(range(3)), min_size=1, unique=True))
    start = data.draw(st.integers(0, 2 * RATE - 1))
    stop = data.draw(st.integers(start + 1, 2 * RATE))
    scale = rate or 1
    part = read_recording(path, channels=[names[i].upper() for i in chosen], start=start / scale, stop=stop / scale)
    whole = read_recording(path)
    np.testing.assert_array_equal(part.values, whole.values[chosen, start:stop])
    assert part.channels == tuple(names[i] for i in chosen)


def test_a_rate_given_to_a_file_without_one_makes_seconds(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(100.0))
    recording = read_recording(tmp_path / "a.npy", rate=10, start=2, stop=3)
    assert recording.rate == 10
    np.testing.assert_array_equal(recording.values, np.arange(20.0, 30.0)[None])


def test_channels_of_different_rates_are_brought_to_one(tmp_path: Path) -> None:
    path, rates = tmp_path / "a.edf", (200, 100, 50)
    times = [np.arange(10 * rate) / rate for rate in rates]
    as_edf(path, [np.sin(2 * np.pi * 3 * t) for t in times], rates)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"one rate, got I 200, II 100, V1 50 .*choose channels, or set the rate"):
        read_recording(path)
    assert read_recording(path, channels=["V1"]).rate == 50
    values = read_recording(path, rate=100, start=2, stop=8).values
    assert values.shape == (3, 600)
    sine = np.sin(2 * np.pi * 3 * (2 + np.arange(600) / 100))
    np.testing.assert_allclose(values[:, 50:-50], np.stack([sine] * 3)[:, 50:-50], atol=0.01)


def test_dates_and_milliseconds_give_the_rate(tmp_path: Path) -> None:
    for name, times in {
        "timestamp": pd.date_range("2024-01-31T12:00:00", periods=50, freq="4ms"),
        "time (ms)": np.arange(50) * 4,
        "Time_ms": np.arange(50) * 4,
        "milliseconds": np.arange(50) * 4.0 + 1e6,
        "t": np.arange(50) * 0.004,
    }.items():
        for suffix in (".csv", ".parquet"):
            path = tmp_path / f"a{suffix}"
            table = pd.DataFrame({"a": 1.0, name: times})
            table.to_csv(path, index=False) if suffix == ".csv" else table.to_parquet(path)
            recording = read_recording(path)
            assert (recording.rate, recording.channels) == (250, ("a",)), (name, suffix)


def test_rounded_times_are_equally_spaced(tmp_path: Path) -> None:
    for rate, digits in ((360, 3), (1000, 3), (333.25, 6), (1 / 60, 0), (44100, 6)):
        times = np.round(7.5 + np.arange(2000) / rate, digits)
        pd.DataFrame({"time": times, "a": 0}).to_csv(tmp_path / "a.csv", index=False)
        found = read_recording(tmp_path / "a.csv").rate
        assert found == pytest.approx(rate, rel=1e-3)
        if rate in (360, 1000):
            assert found == rate


def test_units_and_repeated_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("I (uV); EEG [mV]; EEG\n1;2;3\n")
    recording = read_recording(tmp_path / "a.csv")
    assert recording.channels == ("I", "EEG", "EEG (2)")
    assert recording.units == ("uV", "mV", None)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a,b\n1,2\n3\n", "line 3: expected 2 number(s), got 1; column 2 (b) is missing"),
        ("a,b\n1,2\n3,4,5\n", "line 3: expected 2 number(s), got 3; column 3 is one too many"),
        ("a;b\n1;2\n3,5;4\n", "line 3, column 1 (a): expected a number with a decimal point, got '3,5'"),
        ("a,b\n1,2\n3,high\n", "line 3, column 2 (b): expected a number, got 'high'"),
        ("a,b\n1,2\n\n3,4\n", "line 3: expected 2 number(s), got an empty line"),
        ("a,b\n", "no sample in it"),
        ("", "no sample in it"),
        ("0,1,2\n5,6,7\n", "line 1: expected names or a sample, got the numbers of the columns"),
        (",a\n0,5\n1,6\n", "line 1, column 1: expected a name; if it is an index, write the table without it"),
        ("time,a\n0,1\n1,1\n2,1\n3,1\n5,1\n6,1\n", "line 6, column 1: expected equally spaced times, 1 s apart, got a"),
        ("time,a\n0,1\n1,1\n1,1\n2,1\n", "line 4, column 1: expected a time after 1, got 1"),
        ("time,a\n0,1\n,1\n2,1\n", "line 3, column 1: expected a time, it is missing"),
        (
            "timestamp,a\n1700000000000,1\n1700000000004,2\n",
            'write its unit in the name of the column, such as "timest',
        ),
        ("time,a\n2024-01-31T12:00:00,1\nlater,1\n", "line 3, column 1 (time): expected a time in seconds or as 2024"),
        ("time\n0\n1\n", "expected 1 to 4096 channels, got 0"),
        ("a,b\n1,2\n1e30,4\n", "channel a, sample 2: expected a number of at most 1e+18, got 1e+30"),
        ("a\n1\n-inf\n", "channel a, sample 2: expected a number of at most 1e+18, got -inf"),
    ],
)
def test_bad_tables_are_told(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.csv") as caught:
        read_recording(path)
    assert str(caught.value).startswith(str(path))
    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"channels": ["I", "V9"]}, "expected channel 'V9', there is none of this name; the channels are I, II, V1"),
        ({"channels": ["I", "i"]}, "channels: expected different names, got I, i"),
        ({"start": 2}, "start: expected less than the end, the recording has 2 seconds, got 2"),
        ({"stop": 2.1}, "stop: expected at most the end, the recording has 2 seconds, got 2.1"),
        ({"start": 1, "stop": 1}, "stop: expected more than start, 1 seconds, got 1"),
        ({"start": -1}, "start: expected at least 0 seconds, got -1"),
        ({"rate": 0.001}, "rate: expected a rate within a factor of 1000 of 200, got 0.001"),
        ({"rate": -1}, "rate: expected more than 0 samples a second, got -1"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".edf", ".hea"])
def test_bad_options_are_told(tmp_path: Path, suffix: str, options: dict, wrong: str) -> None:
    path = tmp_path / f"a{suffix}"
    FORMATS[suffix][0](path, signal_of(2 * RATE, missing=False))
    with pytest.raises(ValueError, match="expected") as caught:
        read_recording(path, **options)
    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_files_are_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    for content in (b"", b"\x00\x01 not a recording\n", bytes(range(256)) * 20):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"expected|not ") as caught:
            read_recording(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_of_another_kind_is_told(tmp_path: Path) -> None:
    for suffix in (*FORMATS, "", ".mat"):
        with pytest.raises(FileNotFoundError, match=rf"a{suffix}"):
            read_recording(tmp_path / f"a{suffix}")
    (tmp_path / "a.mat").touch()
    with pytest.raises(ValueError, match=r"a.mat: expected a recording \(.csv, .*, got a file of another suffix"):
        read_recording(tmp_path / "a.mat")
    pd.DataFrame({"a": ["x"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a.parquet, column a: expected numbers, got"):
        read_recording(tmp_path / "a.parquet")
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"a.npy: expected shape \(time, channels\) or \(time,\), got \(2, 3, 4\)"):
        read_recording(tmp_path / "a.npy")


@pytest.mark.slow
def test_a_missing_extra_is_told(tmp_path: Path) -> None:
    for name in ("a.wav", "a.edf", "a.parquet"):
        (tmp_path / name).touch()
    code = f"""
import sys
for name in ("soundfile", "pyedflib", "pyarrow", "wfdb", "pandas"):
    sys.modules[name] = None
from multiresconv.data.readers.read_recording import read_recording
for name in ("a.wav", "a.edf", "a.parquet"):
    try:
        read_recording({str(tmp_path)!r} + "/" + name)
    except ModuleNotFoundError as error:
        print(error)
"""
    told = subprocess.run(python(code), capture_output=True, text=True, check=True).stdout.splitlines()
    assert told == [
        f"Audio files need soundfile: {how_to_install('signals')}",
        f"EDF and BDF files need pyedflib: {how_to_install('signals')}",
        f"Parquet files need pyarrow: {how_to_install('signals')}",
    ]
