"""`.ts` and `.npz` files: what was written is read, and what is off is told."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data.readers.npz import read_npz
from multiresconv.data.readers.ts import read_ts


def write_ts(path: Path, values: list[np.ndarray], targets: list[str] | None, *, header: str = "") -> None:
    lines = ["# a comment", "@problemName Mine", "@timeStamps false", header, "@data", ""]
    for number, sequence in enumerate(values):
        fields = [",".join("?" if np.isnan(x) else repr(float(x)) for x in row) for row in sequence]
        lines.append(":".join(fields if targets is None else [*fields, targets[number]]))
    path.write_text("\n".join(lines) + "\n")


@examples(25)
@given(
    channels=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    kind=st.sampled_from(["class", "value", "none"]),
    missing=st.booleans(),
)
def test_what_was_written_is_read(tmp_path_factory, channels, lengths, kind, missing) -> None:
    path, random = tmp_path_factory.mktemp("ts") / "a.ts", np.random.default_rng(len(lengths))
    values = [random.normal(size=(channels, length)).astype(np.float32) for length in lengths]
    if missing:
        values[0][0, 0] = np.nan
    header = {"class": "@classLabel true a b", "value": "@targetLabel true", "none": "@classLabel false"}[kind]
    targets = {"class": ["ab"[i % 2] for i in range(len(lengths))], "value": [f"{i}.5" for i in range(len(lengths))]}
    write_ts(path, values, targets.get(kind), header=f"{header}\n@dimensions {channels}")
    found = read_ts(path)
    assert len(found.values) == len(values)
    for seen, written in zip(found.values, values, strict=True):
        np.testing.assert_array_equal(seen, written)
    assert found.targets == ({} if kind == "none" else {"target": targets[kind]})
    assert found.places[0] == "line 8"
    assert len(found.channels) == channels


@pytest.mark.parametrize(
    ("header", "body", "wrong"),
    [
        ("", "1,2:x", "line 3, dimension 2, value 1: expected a number, got 'x'"),
        ("@classLabel true a b", "1,2", "line 3: expected values, a colon and the target, got no colon"),
        ("@classLabel true a b", "1,2:c", "line 3: expected a class of the header (a, b), got 'c'"),
        ("@targetLabel true", "1,2:c", "line 3: expected a number as target, got 'c'"),
        ("@univariate true", "1,2:3,4", "line 3: expected 1 dimension(s) between colons, got 2"),
        ("", "1,2:3,4\n1,2", "line 4: expected 2 dimension(s) between colons, got 1"),
        ("", "1,2:3,4,5", "line 3, dimension 2: expected 2 values as before, got 3"),
        ("@equalLength true\n@seriesLength 3", "1,2", "line 4: expected 3 values as in the header, got 2"),
        ("@timeStamps true", "0,1", "dimension 1: expected pairs (time,value)"),
        ("@dimensions many", "1,2", "line 2: @dimensions: expected a whole number, got 'many'"),
        ("1,2", "1,2", "line 1: expected a header line with @, or @data, got '1,2'"),
        ("", "", "expected sequences below @data, got none"),
        ("", "1_0,2", "line 3, dimension 1, value 1: expected a number, got '1_0'"),
    ],
)
def test_bad_ts_files_are_told(tmp_path: Path, header: str, body: str, wrong: str) -> None:
    path = tmp_path / "a.ts"
    path.write_text(f"{header}\n@data\n{body}\n")
    with pytest.raises(ValueError, match=r"a\.ts") as caught:
        read_ts(path)
    assert str(caught.value).startswith(str(path))
    assert wrong in str(caught.value)
    path.write_text(header)
    with pytest.raises(ValueError, match=r"a\.ts"):
        read_ts(path)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    ("y", "targets"),
    [
        (None, {}),
        (np.array(["b", "a", "b"]), {"target": ["b", "a", "b"]}),
        (np.array([2, 10, 2]), {"target": ["2", "10", "2"]}),
        (
            np.array([[0.5, 1], [np.nan, 2], [1, 3]]),
            {"target 1": ["0.5", "", "1.0"], "target 2": ["1.0", "2.0", "3.0"]},
        ),
        (np.array([True, False, True]), {"target": ["1", "0", "1"]}),
    ],
)
def test_arrays(tmp_path: Path, flat: bool, y: np.ndarray | None, targets: dict[str, list[str]]) -> None:
    x = np.random.default_rng(0).normal(size=(3, 7) if flat else (3, 2, 7))
    x[0, ..., 0] = np.nan
    np.savez(tmp_path / "a.npz", **({"X": x} if y is None else {"X": x, "y": y}))
    found = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(np.stack(found.values), (x[:, None] if flat else x).astype(np.float32))
    assert found.targets == targets


@pytest.mark.parametrize(
    ("arrays", "wrong"),
    [
        ({"x": np.zeros((2, 3))}, "expected an array X, and y, got x"),
        ({"X": np.zeros((2, 3, 4, 5))}, r"X: expected shape \(n, channels, time\) or \(n, time\), got \(2, 3, 4, 5\)"),
        ({"X": np.zeros((0, 3))}, "X: expected shape"),
        ({"X": np.array(["a"])}, "X: expected numbers, got <U1"),
        ({"X": np.zeros((2, 3)), "y": np.zeros(3)}, r"y: expected numbers or texts of shape \(2,\)"),
        ({"X": np.zeros((2, 3)), "y": np.array([{}, {}])}, "pickle"),
    ],
)
def test_bad_arrays_are_told(tmp_path: Path, arrays: dict[str, np.ndarray], wrong: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=wrong) as caught:
        read_npz(tmp_path / "a.npz")
    assert str(caught.value).startswith(str(tmp_path / "a.npz"))


def test_damaged_archives_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, X=np.zeros((20, 30)))
    whole = path.read_bytes()
    for content in (b"", b"x", whole[: len(whole) // 2], whole[:200] + b"\xff" * 100 + whole[300:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.npz"):
            read_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "X.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1, 99999)}"
        )
    with pytest.raises(ValueError, match=r"a\.npz"):
        read_npz(path)


def test_time_stamps_of_a_ts_file_become_its_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    head = "@timeStamps true\n@dimensions 2\n@classLabel true x y\n@data\n"
    lines = ["(0,1),(0.5,2),(1,?):(0,4), (0.5,5), (1,6):x", "(7,1),(7.5,2):(7,3),(7.5,4):y"]
    path.write_text(head + "\n".join(lines))
    found = read_ts(path)
    assert found.rate == 2
    np.testing.assert_array_equal(found.values[0], [[1, 2, np.nan], [4, 5, 6]])
    assert found.targets["target"] == ["x", "y"]
    dates = "(2024-01-31 12:00:00,1),(2024-01-31 12:00:10,2)"
    path.write_text(f"{head}{dates}:{dates}:x")
    assert read_ts(path).rate == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("(0,1),(1,2),(2,2),(9,2)", r"line 3, dimension 1, value 4: expected equally spaced times"),
        ("(0,1),(1,2)\n(0,1),(2,2)", r"line 4, dimension 1: expected 1 samples a second as before, got 0.5"),
        ("(0,1),(0,2)", r"line 3, dimension 1, value 2: expected a time after 0, got 0"),
        ("0,1,2", r"line 3, dimension 1: expected pairs \(time,value\) between commas, got '0,1,2'"),
        ("(0,1),(1,2", r"line 3, dimension 1: expected pairs"),
        ("(a,1),(b,2)", r"line 3, dimension 1, value 1: expected a time in seconds or as"),
        ("(0,a)", r"line 3, dimension 1, value 1: expected a number, got 'a'"),
    ],
)
def test_time_stamps_that_are_refused(tmp_path: Path, line: str, wrong: str) -> None:
    path = tmp_path / "a.ts"
    path.write_text(f"@timeStamps true\n@data\n{line}")
    with pytest.raises(ValueError, match=wrong):
        read_ts(path)
