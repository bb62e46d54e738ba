"""Signals in tables and arrays: the same answer, a remark, or one line that names the file and the place in it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import LEADS, SIGNAL, classifier, signal

from multiresconv.data.readers.text import MAX_LINE
from multiresconv.runs.inputs import read_rows

HEADER = ",".join(LEADS)
ROWS = "\n".join(",".join(f"{value:.3f}" for value in sample) for sample in signal())
GOOD = f"{HEADER}\n{ROWS}\n"


def with_line(number: int, line: str) -> str:
    """The good table with another line; the header is line 1."""
    lines = GOOD.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


def in_microvolts(header: str, columns: int = 3) -> str:
    factors = np.array([1000] * columns + [1] * (3 - columns))
    return header + "\n" + "\n".join(",".join(f"{v:.9g}" for v in sample) for sample in signal() * factors) + "\n"


# Tables of the same samples; the remark that has to be made, "" if none
SAME = {
    "no header": (ROWS, ""),
    "a byte order mark": ("\ufeff" + GOOD, ""),
    "Windows line ends": (GOOD.replace("\n", "\r\n"), ""),
    "old Mac line ends": (GOOD.replace("\n", "\r"), ""),
    "semicolons": (GOOD.replace(",", ";"), ""),
    "tabs": (GOOD.replace(",", "\t"), ""),
    "blanks": (GOOD.replace(",", "  "), ""),
    "commas and blanks": (GOOD.replace(",", ", "), ""),
    "quotes": ("\n".join(",".join(f'"{f}"' for f in line.split(",")) for line in GOOD.splitlines()), ""),
    "quotes and blanks": (GOOD.replace(HEADER, '"I", "II", "V1"'), ""),
    "small letters": (GOOD.replace(HEADER, "i,ii,v1"), ""),
    "the unit itself": (GOOD.replace(HEADER, "I (mV),II (mV),V1 (mV)"), ""),
    "microvolts in brackets": (in_microvolts("I (uV),II (uV),V1 (uV)"), "converted from uV to mV"),
    "microvolts in square brackets": (in_microvolts("I [uV],II [uV],V1 [uV]"), "converted from uV to mV"),
    "microvolts behind a stroke": (in_microvolts("I/uV,II/uV,V1/uV"), "converted from uV to mV"),
    "microvolts behind a line": (in_microvolts("I_uV,II_uV,V1_uV"), "converted from uV to mV"),
    "microvolts with a Greek letter": (in_microvolts("I (\u00b5V),II (\u03bcV),V1 (uV)"), "to mV"),
    "one column in microvolts": (in_microvolts("I (uV),II,V1", 1), "converted from uV to mV"),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_samples_give_the_same_answer(case: str, predicted: Any, tmp_path: Path) -> None:
    content, remark = SAME[case]
    good, other = tmp_path / "good.csv", tmp_path / "other.csv"
    good.write_text(GOOD)
    other.write_text(content, newline="")
    expected = predicted("signal", good)
    seen = predicted("signal", other)
    assert (seen.code, len(seen.rows), len(seen.said)) == (0, 1, 1 if remark else 0)
    assert seen.rows[0] == pytest.approx(expected.rows[0], rel=1e-5)  # units are converted in float64
    for line in seen.said:
        assert str(other) in line
        assert remark in line


REFUSED = {
    "decimal commas between semicolons": (GOOD.replace(",", ";").replace(".", ","), "line 2, column 1 (I)"),
    "decimal commas between tabs": (GOOD.replace(",", "\t").replace(".", ","), "line 2, column 1 (I)"),
    "decimal commas between blanks": (ROWS.replace(",", " ").replace(".", ","), "line 1"),
    "decimal commas between commas": (GOOD.replace(".", ","), "line 2: expected 3 number(s), got 6"),
    "decimal commas that look like columns": ("0,097,1\n", "line 1, column 2 (II)"),
    "quoted decimal commas": (with_line(3, '"0,1","0,2","0,3"'), "line 3, column 1 (I)"),
    "a missing value": (with_line(7, "0.1,,0.3"), "line 7, column 2 (II)"),
    "a missing last value": (with_line(7, "0.1,0.2,"), "line 7, column 3 (V1)"),
    "a missing row": (with_line(7, ""), "line 7"),
    "NaN": (with_line(7, "0.1,nan,0.3"), "line 7, column 2 (II)"),
    "NA": (with_line(7, "0.1,0.2,NA"), "line 7, column 3 (V1)"),
    "infinity": (with_line(7, "0.1,-inf,0.3"), "line 7, column 2 (II)"),
    "1e38": (with_line(7, "0.1,1e38,0.3"), "line 7, column 2 (II)"),
    "1e400": (with_line(7, "0.1,1e400,0.3"), "line 7, column 2 (II)"),
    "a word": (with_line(7, "0.1,x,0.3"), "line 7, column 2 (II)"),
    "a digit of another script": (with_line(7, "0.1,\u0663,0.3"), "line 7, column 2 (II)"),
    "an underscore": (with_line(7, "0.1,1_0,0.3"), "line 7, column 2 (II)"),
    "a short row": (with_line(7, "0.1,0.2"), "line 7: expected 3 number(s), got 2"),
    "a long row": (with_line(7, "0.1,0.2,0.3,0.4"), "line 7: expected 3 number(s), got 4"),
    "other names": (GOOD.replace(HEADER, "a,b,c"), "line 1, column 1"),
    "one other name": (GOOD.replace(HEADER, "I,II,V2"), "line 1, column 3: expected channel V1"),
    "another order": (GOOD.replace(HEADER, "II,I,V1"), "line 1: expected the columns in the order I, II, V1"),
    "a short header": (GOOD.replace(HEADER, "I,II"), "line 1: expected a header of 3 columns"),
    "a long header": (GOOD.replace(HEADER, "time,I,II,V1"), "line 1: expected a header of 3 columns"),
    "an empty name": (GOOD.replace(HEADER, "I,,V1"), "line 1, column 2"),
    "another unit": (GOOD.replace(HEADER, "I (mmHg),II,V1"), "line 1, column 1 (I): expected the unit mV"),
    "megavolts": (GOOD.replace(HEADER, "I (MV),II,V1"), "line 1, column 1 (I): expected the unit mV"),
    "the numbers of the columns": ("0,1,2\n" + ROWS, "line 1"),
    "a header and no row": (HEADER + "\n", "no sample"),
    "nothing": ("", "no sample"),
    "two headers": (f"{HEADER}\n{GOOD}", "line 2, column 1 (I)"),
    "an endless line": ("1," * (MAX_LINE // 2 + 1), f"line 1: expected at most {MAX_LINE} characters"),
    "NUL characters": (GOOD.replace("0", "\0"), "line 2: expected text"),
    "a picture": ("\x89PNG\r\n\x1a\n\0\0", "line 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str, predicted: Any, tmp_path: Path) -> None:
    content, place = REFUSED[case]
    file = tmp_path / "in.csv"
    file.write_text(content, encoding="utf-8")
    seen = predicted("signal", file)
    assert (seen.code, seen.rows, len(seen.said)) == (2, [], 1)
    assert str(file) in seen.said[0]
    assert place in seen.said[0]
    assert len(seen.said[0]) < 500


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_devices_end(device: str, predicted: Any, tmp_path: Path) -> None:
    (tmp_path / "in.csv").symlink_to(device)
    seen = predicted("signal", tmp_path / "in.csv")
    assert (seen.code, seen.rows, len(seen.said)) == (2, [], 1)


DOUBTED = {
    "raw converter counts": (signal() * 1000, "I goes from"),
    "volts": (signal(60) / 1000, "all channels stay within 1% of their usual range"),
    "zeros": (np.zeros((40, 3)), "constant: I, II, V1 (at 0)"),
    "one flat channel": (signal() * [1, 0, 1], "constant: II (at 0)"),
    "one sample": (signal(1), "only one sample long"),
}


@pytest.mark.parametrize("suffix", ["csv", "npy"])
@pytest.mark.parametrize("case", DOUBTED)
def test_what_is_doubtful_is_said(case: str, suffix: str, predicted: Any, tmp_path: Path) -> None:
    values, doubt = DOUBTED[case]
    file = tmp_path / f"in.{suffix}"
    if suffix == "npy":
        np.save(file, values)
    else:
        np.savetxt(file, values, delimiter=",")
    seen = predicted("signal", file)
    assert (seen.code, len(seen.rows), len(seen.said)) == (0, 1, 1)
    assert str(file) in seen.said[0]
    assert doubt in seen.said[0]


def test_nothing_is_said_of_usual_samples(predicted: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.stack([signal(), -signal()]))
    seen = predicted("signal", tmp_path / "in.npy")
    assert (seen.code, len(seen.rows), seen.said) == (0, 2, [])


def test_the_standardisation_tells_the_usual_range_of_older_models(tmp_path: Path) -> None:
    model = classifier(replace(SIGNAL, usual=None))
    file = tmp_path / "in.npy"
    np.save(file, 1000 * signal())

    def remarks() -> list[str]:
        told: list[str] = []
        for row in read_rows(model, file, tell=told.append):
            list(row)
        return told

    assert remarks() == []
    assert model.net.standardise is not None
    model.net.standardise.set(0.0, 0.3)
    (doubt,) = remarks()
    assert "usual is -3 to 3 mV" in doubt


def test_many_doubts_are_one_line(predicted: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.zeros((9, 40, 3)))
    seen = predicted("signal", tmp_path / "in.npy")
    assert (seen.code, len(seen.rows), len(seen.said)) == (0, 9, 1)
    assert "row 1: constant" in seen.said[0]
    assert seen.said[0].endswith("; and 5 more remarks")


@pytest.mark.parametrize("suffix", ["csv", "npy"])
def test_held_values_repeat_the_last_good_one(suffix: str, predicted: Any, tmp_path: Path) -> None:
    values = signal()
    values[3, 1] = values[4, 1] = np.nan
    values[9] = 1e38
    held = signal()
    held[3, 1] = held[4, 1] = held[2, 1]
    held[9] = held[8]
    for name, content in {"gaps": values, "held": held}.items():
        if suffix == "npy":
            np.save(tmp_path / f"{name}.npy", content)
        else:
            np.savetxt(tmp_path / f"{name}.csv", content, delimiter=",")
    expected = predicted("signal", tmp_path / f"held.{suffix}")
    seen = predicted("signal", tmp_path / f"gaps.{suffix}", "--missing", "hold")
    assert (seen.code, seen.rows) == (0, expected.rows)
    (line,) = seen.said
    assert "5 missing values held" in line


def test_a_first_value_cannot_be_held(predicted: Any, tmp_path: Path) -> None:
    values = signal()
    values[0, 2] = np.nan
    np.save(tmp_path / "in.npy", values)
    seen = predicted("signal", tmp_path / "in.npy", "--missing", "hold")
    assert (seen.code, len(seen.said)) == (2, 1)
    assert "sample 1, column 3 (V1): no good value yet" in seen.said[0]


def npy(header: str, data: bytes = b"\0" * 96, version: bytes = b"\x01\x00") -> bytes:
    text = header.encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little") + text + data


def described(shape: str, dtype: str = "'<f8'") -> bytes:
    return npy(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n")


HOSTILE = {
    "2**70 numbers": described(f"({2**70},)"),
    "2**70 numbers in two axes": described(f"({2**35}, {2**35})"),
    "more than the file has": described("(1000, 3)"),
    "more than the limit": described(f"({10**12}, 3)"),
    "a negative length": described("(-4, 3)"),
    "a length of True": described("(True, 3)"),
    "a length of text": described("('4', 3)"),
    "a length with a fraction": described("(4.0, 3)"),
    "nested shape": described("(" * 4000 + "4, 3" + ")" * 4000),
    "nested header": npy("(" * 4000),
    "a long header": npy("{" + " " * 20_000, version=b"\x02\x00"),
    "many dimensions": described("(1, 1, 1, 1, 1, 1, 1, 1, 4, 3)"),
    "no length": described("(0, 3)"),
    "no axis": described("()"),
    "objects": described("(4, 3)", "'|O'"),
    "truth values": described("(4, 3)", "'|b1'"),
    "complex numbers": described("(4, 3)", "'<c16'"),
    "dates": described("(4, 3)", "'<M8[ns]'"),
    "texts": described("(4, 3)", "'<U2'"),
    "records": described("(4, 3)", "[('a', '<f8')]"),
    "an unknown dtype": described("(4, 3)", "'<q9'"),
    "code": described("(4, 3)", "__import__('os').getcwd()"),
    "an unknown version": npy("{}", version=b"\x09\x00"),
    "a cut header": npy("{'descr': '<f8'")[:15],
    "nothing": b"",
    "an archive": b"PK\x03\x04" + b"\0" * 60,
    "other columns": described("(4, 4)"),
    "turned": described("(3, 4)"),
}


@pytest.mark.parametrize("model", ["signal", "grey"])
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_arrays_are_refused(case: str, model: str, predicted: Any, tmp_path: Path) -> None:
    file = tmp_path / "in.npy"
    file.write_bytes(HOSTILE[case])
    seen = predicted(model, file)
    assert (seen.code, seen.rows, len(seen.said)) == (2, [], 1)
    assert str(file) in seen.said[0]
    assert len(seen.said[0]) < 500


ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "float32": lambda x: x.astype(np.float32),
    "big-endian": lambda x: x.astype(">f8"),
    "columns first in the file": np.asfortranarray,
    "one of n": lambda x: x[None],
    "one of n, columns first": lambda x: np.asfortranarray(x[None]),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_of_any_layout_give_the_same_answer(case: str, predicted: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", signal())
    np.save(tmp_path / "other.npy", ARRAYS[case](signal()))
    seen = predicted("signal", tmp_path / "good.npy", tmp_path / "other.npy")
    assert (seen.code, seen.said) == (0, [])
    assert seen.rows[1] == seen.rows[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38, 1e300])
def test_a_bad_value_of_an_array_is_named(value: float, predicted: Any, tmp_path: Path) -> None:
    values = np.stack([signal(), signal()])
    values[1, 5, 2] = value
    np.save(tmp_path / "in.npy", values)
    seen = predicted("signal", tmp_path / "in.npy")
    assert (seen.code, len(seen.said)) == (2, 1)
    assert "in.npy, row 2, sample 6, column 3 (V1)" in seen.said[0]
