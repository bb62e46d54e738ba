"""A table of recordings as a data set: rows, targets, windows, splits and what is refused."""

import pickle
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jsonargparse import ArgumentParser
from tiny_recordings import RATE, make_set, signal_of, write_csv, write_table, write_wav

from multiresconv.data.recordings import TableData, open_recordings
from multiresconv.data.splits import SPLITS

LENGTHS = [30 + number for number in range(20)]
CLASSES = [["walk", "run"][number % 2] for number in range(20)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    groups = [f"p{number // 2}" for number in range(20)]
    numbers = [number / 4 for number in range(20)]
    labels = [";".join(name for name, bit in (("a", 1), ("b", 2)) if number & bit) for number in range(20)]
    flags = [number % 2 for number in range(20)]
    return make_set(
        tmp_path_factory.mktemp("set"), LENGTHS, y=CLASSES, group=groups, x=numbers, l=labels, f=flags, g=flags[::-1]
    )


def every_row(opened):
    """Yield (name, signal, target) of all splits."""
    for split in SPLITS:
        rows = opened.split(split)
        assert len(rows) == len(rows.lengths) == len(rows.names) == len(rows.groups)
        for index in range(len(rows)):
            signal, target = rows[index]
            assert signal.dtype == np.float32
            assert len(signal) == rows.lengths[index]
            yield rows.names[index], signal, target


def test_each_recording_is_in_one_split_with_its_signal_and_class(table: Path) -> None:
    opened = open_recordings(TableData(table, target="y"), "class")
    assert opened.targets.names == ("run", "walk")
    assert (opened.channels, opened.rate, opened.units) == (("channel 1", "channel 2"), RATE, (None, None))
    found = {name: (signal, target) for name, signal, target in every_row(opened)}
    assert len(found) == 20
    for number in range(20):
        signal, target = found[f"r{number}.wav"]
        np.testing.assert_array_equal(signal, signal_of(number, LENGTHS[number]))
        assert opened.targets.names[target] == CLASSES[number]
    groups = [set(opened.split(split).groups) for split in SPLITS]
    assert sum(map(len, groups)) == 10
    assert len(set.union(*groups)) == 10
    assert opened.assignment() == open_recordings(TableData(table, target="y"), "class").assignment()
    assert sum(map(len, opened.assignment().values())) == 20


@pytest.mark.parametrize(
    ("kind", "target", "names", "of_3"),
    [
        ("labels", "l", ("a", "b"), [1, 1]),
        ("labels", "f,g", ("f", "g"), [1, 0]),
        ("value", "x", ("x",), [0.75]),
        ("value", "x,f", ("x", "f"), [0.75, 1]),
        ("none", None, (), None),
    ],
)
def test_targets(table: Path, kind, target, names, of_3) -> None:
    opened = open_recordings(TableData(table, target=target), kind)
    assert opened.targets.names == names
    found = {name: seen for name, _, seen in every_row(opened)}["r3.wav"]
    if of_3 is None:
        assert found is None
    else:
        assert found.dtype == np.float32
        assert found.tolist() == of_3


def test_classes_that_are_whole_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    path = make_set(tmp_path, [9] * 12, y=[10, 9, 1] * 4)
    assert open_recordings(TableData(path, target="y"), "class").targets.names == ("1", "9", "10")


def test_windows_belong_to_the_split_of_their_recording(table: Path) -> None:
    opened = open_recordings(TableData(table, target="y", window=0.2, hop=0.1), "class")
    whole = opened.assignment()
    rows = opened.split("val")
    assert {name.partition(",")[0] for name in rows.names} == set(whole["val"])
    assert set(rows.lengths.tolist()) == {10}
    assert rows.names[1] == f"{rows.names[0].partition(',')[0]}, window 0.1 to 0.3 s"
    number = int(rows.names[1].partition(".")[0][1:])
    np.testing.assert_array_equal(rows[1][0], signal_of(number, LENGTHS[number])[5:15])
    without = write_table(table.with_name("without.csv"), file=[f"r{number}.wav" for number in range(20)])
    rows = open_recordings(TableData(without, window=0.2), "none").split("train")
    assert rows.groups == tuple(name.partition(",")[0] for name in rows.names)


def test_sections_and_rates(tmp_path: Path) -> None:
    for number, rate in enumerate((50, 100, 25)):
        time = np.arange(4 * rate) / rate
        write_wav(tmp_path / f"{number}.wav", np.sin(2 * np.pi * time)[:, None].astype(np.float32), rate)
    path = write_table(
        tmp_path / "t.csv", file=["0.wav", "1.wav", "2.wav", "0.wav"], start=[1, 1, 1, ""], stop=[3, 3, 3, ""]
    )
    with pytest.raises(ValueError, match=r"t.csv: expected recordings of one rate, got .* 50 \(2, .*set .*--data.rate"):
        open_recordings(TableData(path), "none")
    opened = open_recordings(TableData(path, rate=50.0, val_share=0, test_share=0.0), "none")
    rows = opened.split("train")
    assert rows.names == ("0.wav, 1 to 3", "1.wav, 1 to 3", "2.wav, 1 to 3", "0.wav")
    assert rows.groups == ("0.wav", "1.wav", "2.wav", "0.wav")
    assert rows.lengths.tolist() == [100, 100, 100, 200]
    for index in range(3):
        np.testing.assert_allclose(rows[index][0][20:-20], rows[0][0][20:-20], atol=0.01)


def test_channels_are_put_in_order_and_units_converted(tmp_path: Path) -> None:
    one = np.arange(20, dtype=np.float32).reshape(10, 2)
    write_csv(tmp_path / "a.csv", one, ("I (mV)", "II (mV)"))
    write_csv(tmp_path / "b.csv", one[:, ::-1] * 1000, ("ii (uV)", "i (uV)"))
    path = write_table(tmp_path / "t.csv", file=["a.csv", "b.csv"])
    opened = open_recordings(TableData(path, val_share=0, test_share=0), "none")
    assert (opened.channels, opened.units) == (("I", "II"), ("mV", "mV"))
    rows = opened.split("train")
    np.testing.assert_allclose(rows[1][0], rows[0][0], rtol=1e-6)
    assert opened.remarks == ("1 recording(s) converted to mV",)
    chosen = open_recordings(TableData(path, channels="II", val_share=0, test_share=0), "none").split("train")
    np.testing.assert_array_equal(chosen[0][0], one[:, 1:])
    write_csv(tmp_path / "b.csv", one, ("I (mmHg)", "II (mV)"))
    with pytest.raises(ValueError, match=r"channel I in units that convert: \S*a.csv has 'mV', \S*b.csv has 'mmHg'"):
        open_recordings(TableData(path), "none")
    write_csv(tmp_path / "b.csv", one, ("I", "III"))
    with pytest.raises(ValueError, match=r"same channels: \S*a.csv has I, II, \S*b.csv has I, III; choose"):
        open_recordings(TableData(path), "none")


def test_unreadable_recordings_are_named_or_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_set(tmp_path, [20] * 30, y=[0, 1] * 15)
    for number in range(25):
        (tmp_path / f"r{number}.wav").write_bytes(b"no sound")
    (tmp_path / "r25.wav").unlink()
    with pytest.raises(ValueError, match=r"r0.wav: not a readable audio file"):
        open_recordings(TableData(path, target="y"), "class")
    data = TableData(path, target="y", skip_unreadable=True, val_share=0.25, test_share=0.25)
    opened = open_recordings(data, "class")
    assert [name for name, _ in opened.skipped] == [f"r{number}.wav" for number in range(26)]
    told = capsys.readouterr().err.splitlines()
    told = told[[line.endswith("cannot be read, and are left out") for line in told].index(True) :]
    assert told[0] == f"{path}: 26 recording(s) cannot be read, and are left out"
    assert len(told) == 22
    assert told[1].startswith("  r0.wav: ")
    assert told[-1] == "  and 6 more"
    assert sorted(chain.from_iterable(opened.assignment().values())) == ["r26.wav", "r27.wav", "r28.wav", "r29.wav"]
    by_name = {name: signal for name, signal, _ in every_row(opened)}
    np.testing.assert_array_equal(by_name["r28.wav"], signal_of(28, 20))
    for number in range(26, 30):
        (tmp_path / f"r{number}.wav").unlink()
    with pytest.raises(ValueError, match=r"labels.csv: none of its 30 recordings can be read; the first: .*r0.wav"):
        open_recordings(data, "class")


def test_a_long_table(tmp_path: Path) -> None:
    signals = {name: signal_of(number, 12 + number) for number, name in enumerate("abcdef")}
    parts = [
        pd.DataFrame({"who": name, "time": np.arange(len(x)) / 10, "u": x[:, 0], "v": x[:, 1], "y": name in "ace"})
        for name, x in signals.items()
    ]
    mixed = pd.concat(parts).sample(frac=1, random_state=1)
    for path in (tmp_path / "long.csv", tmp_path / "long.parquet"):
        mixed.to_csv(path, index=False) if path.suffix == ".csv" else mixed.to_parquet(path, index=False)
        opened = open_recordings(TableData(path, id="who", time="time", target="y"), "class")
        assert (opened.channels, opened.rate) == (("u", "v"), 10)
        found = {name: (signal, target) for name, signal, target in every_row(opened)}
        assert found.keys() == signals.keys()
        for name, (signal, target) in found.items():
            np.testing.assert_allclose(signal, signals[name], rtol=1e-6)
            assert opened.targets.names[target] == str(name in "ace")
        only = TableData(path, id="who", time="time", values="v", rate=20.0, val_share=0, test_share=0)
        assert open_recordings(only, "none").split("train").lengths.max() == 2 * len(signals["f"])
    mixed.loc[mixed.who == "b", "y"] = [True] + [False] * 12
    mixed.to_csv(tmp_path / "long.csv", index=False)
    with pytest.raises(
        ValueError, match=r"long.csv, line \d+, column y: expected '\w+' as in other rows of who 'b', got"
    ):
        open_recordings(TableData(tmp_path / "long.csv", id="who", target="y"), "class")


def test_archives(tmp_path: Path) -> None:
    signals = np.random.default_rng(0).normal(size=(24, 2, 9)).astype(np.float32)
    names = ["yes", "no"] * 12
    np.savez(tmp_path / "a.npz", X=signals, y=np.array(names))
    lines = [":".join([*(",".join(map(str, row)) for row in x), y]) for x, y in zip(signals, names, strict=True)]
    head = "@dimensions 2\n@classLabel true yes no\n@data\n"
    (tmp_path / "one.ts").write_text(head + "\n".join(lines))
    pair = tmp_path / "Pair"
    pair.mkdir()
    (pair / "Mine_TRAIN.ts").write_text(head + "\n".join(lines[:16]))
    (pair / "Mine_TEST.ts").write_text(head + "\n".join(lines[16:]))
    for table in (tmp_path / "a.npz", tmp_path / "one.ts", pair):
        opened = open_recordings(TableData(table, rate=5.0), "class")
        assert opened.targets.names == ("no", "yes")
        assert opened.rate == 5
        rows = list(every_row(opened))
        assert len(rows) == 24
        for _, signal, target in rows:
            number = int(np.abs(signals - signal.T).sum((1, 2)).argmin())
            np.testing.assert_array_equal(signal.T, signals[number])
            assert opened.targets.names[target] == names[number]
    assert len(opened.split("test")) == 8
    assert {name.partition(",")[0] for name in opened.split("val").names} == {"Mine_TRAIN.ts"}
    (pair / "Mine_TEST.ts").unlink()
    with pytest.raises(
        ValueError, match=r"Pair: expected one pair NAME_TRAIN.ts and NAME_TEST.ts in this folder, got 0"
    ):
        open_recordings(TableData(pair), "class")


def test_rows_survive_pickling(table: Path) -> None:
    rows = open_recordings(TableData(table, target="y"), "class").split("train")
    text = pickle.dumps(rows)
    assert len(text) < 5000
    again = pickle.loads(text)
    assert again.checksum() == rows.checksum()
    np.testing.assert_array_equal(again[3][0], rows[3][0])
    with pytest.raises(IndexError, match="index: expected 0 to"):
        rows[len(rows)]


def test_the_checksum_knows_signals_targets_and_windows(table: Path) -> None:
    data = TableData(table, target="y", split_seed=1)
    sums = {
        open_recordings(changed, kind).split("train").checksum()
        for changed, kind in (
            (data, "class"),
            (replace(data, target="f"), "class"),
            (replace(data, target="f"), "value"),
            (replace(data, window=0.4), "class"),
            (replace(data, split_seed=2), "class"),
            (replace(data, channels="channel 1"), "class"),
        )
    }
    assert len(sums) == 6
    assert open_recordings(data, "class").split("train").checksum() in sums


@pytest.mark.slow
def test_processes_read_the_same(table: Path, tmp_path: Path) -> None:
    checksums = []
    for workers in (0, 2):
        data = TableData(table, target="y", workers=workers, cache_folder=tmp_path / str(workers))
        checksums.append([open_recordings(data, "class").split(split).checksum() for split in SPLITS])
    assert checksums[0] == checksums[1]
    bad = write_table(tmp_path / "bad.csv", file=[str(table.parent / "r0.wav"), "gone.wav"])
    with pytest.raises(FileNotFoundError, match=r"gone\.wav"):
        open_recordings(TableData(bad, workers=2), "none")


FILES = ["r0.wav", "r1.wav", "r2.wav", "r3.wav"]


@pytest.mark.parametrize(
    ("columns", "options", "kind", "wrong"),
    [
        ({"y": [1, 2, 1, ""]}, {"target": "y"}, "class", "line 5, column y: expected a target, got none; fill it in"),
        ({"y": [1, 2, 1, 2]}, {"target": "z"}, "class", "target: expected the name of a column, got 'z'; the columns"),
        ({"y": [1, 1, 1, 1]}, {"target": "y"}, "class", "target: expected at least two classes in column y, got '1'"),
        ({"y": [1, 2, 1, 2]}, {}, "class", "target: expected the column of the target, got none; set --data.target"),
        ({"y": [1, 2, 1, 2]}, {"target": "y"}, "none", "target: expected none for this task, got 'y'"),
        ({"y": [1, 2, "x", 2]}, {"target": "y"}, "value", "line 4, column y: expected a finite number, got 'x'"),
        (
            {"y": [1, 2, "3,5", 2]},
            {"target": "y"},
            "value",
            "line 4, column y: expected a finite number with a decimal",
        ),
        ({"y": [1, 2, 1, 2], "z": [0] * 4}, {"target": "y,z"}, "labels", "line 3, column y: expected 0 or 1, got '2'"),
        (
            {"y": [1, 2, 1, 2], "z": [0] * 4},
            {"target": "y,z"},
            "class",
            "target: expected one column of classes, got y, z",
        ),
        ({"y": ["", "", "", ""]}, {"target": "y"}, "labels", "target: expected labels in column y, all rows are empty"),
        (
            {"split": ["train", "val", "tets", ""]},
            {},
            "none",
            "line 4, column split: expected train or val or test, got",
        ),
        (
            {"split": ["train", "val", "test", ""]},
            {},
            "none",
            "line 5, column split: expected train or val or test, got no",
        ),
        (
            {"split": ["train", "val", "test", "train"], "group": ["anna", "ben", "anna", "carl"]},
            {},
            "none",
            "expected each group in one split, got in two: anna (train and test)",
        ),
        ({"group": ["a", "b", "", "c"]}, {}, "none", "line 4, column group: expected the name of a group, got none"),
        (
            {"group": ["a", "a", "b", "b"]},
            {},
            "none",
            "expected at least 3 groups, one each for train, val, test, got 2",
        ),
        ({"start": [0, 0, "x", 0]}, {}, "none", "line 4, column start: expected a number, got 'x'"),
        (
            {"start": [0, 9, 0, 0]},
            {},
            "none",
            "r1.wav: start: expected less than the end, the recording has 0.4 seconds",
        ),
        ({"file": ["r0.wav", "", "r2.wav", "r3.wav"]}, {}, "none", "line 3, column file: expected the path of a"),
        (
            {"file": ["r0.wav", "a\0b", "c", "d"]},
            {},
            "none",
            r"line 3, column file: expected the path of a recording, got 'a\x00b'",
        ),
        ({}, {"group": "patient"}, "none", "group: expected the name of a column, got 'patient'; the columns are file"),
        ({}, {"channels": "I"}, "none", "r0.wav: expected channel 'I', there is none of this name; the channels are"),
        ({}, {"channels": "I,,V"}, "none", "channels: expected different names, separated by commas, got 'I,,V'"),
        ({}, {"hop": 1.0}, "none", "hop: expected a window too; set window"),
        (
            {},
            {"window": 0.001},
            "none",
            "window, hop: expected at least one sample, got 0.001 s at 50 samples a second",
        ),
        ({}, {"window": -1.0}, "none", "window: expected more than 0, got -1"),
        ({}, {"val_share": 0.5, "test_share": 0.5}, "none", "val_share: expected less than 1 together with test_share"),
        ({}, {"val_share": 1.5}, "none", "val_share: expected at least 0 and less than 1, got 1.5"),
        ({}, {"time": "t"}, "none", "time: expected with the option id, for a long table"),
        ({}, {"id": "who"}, "none", "id: expected the name of a column, got 'who'; the columns are file"),
    ],
)
def test_bad_inputs_are_told(tmp_path: Path, columns: dict, options: dict, kind, wrong: str) -> None:
    for number, file in enumerate(FILES):
        write_wav(tmp_path / file, signal_of(number, 20))
    path = write_table(tmp_path / "labels.csv", **({"file": FILES} | columns))
    with pytest.raises(ValueError, match="expected") as caught:
        open_recordings(TableData(path, **options), kind)
    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "not a readable table in UTF-8"),
        ("file,y\n", "expected rows below the header, got none"),
        ("file,y\na.wav,1\nb.wav\n", "line 3: expected 2 cells as in the header, got 1"),
        ("file,file\na.wav,b.wav\n", "line 1: expected columns of different names, 'file' comes twice"),
        ("name,y\na.wav,1\n", "expected a column 'file' with a recording in each row, or the option id"),
    ],
)
def test_bad_tables_are_told(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"labels\.csv") as caught:
        open_recordings(TableData(path), "none")
    assert wrong in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file; expected a table of recordings"):
        open_recordings(TableData(tmp_path / "none.csv"), "none")


def test_a_split_without_rows_is_told(tmp_path: Path) -> None:
    path = make_set(tmp_path, [20] * 4, split=["train", "train", "val", "val"])
    opened = open_recordings(TableData(path), "none")
    assert opened.assignment() == {"train": ["r0.wav", "r1.wav"], "val": ["r2.wav", "r3.wav"], "test": []}
    with pytest.raises(ValueError, match=r"labels.csv: expected rows of split 'test', got none"):
        opened.split("test")
    with pytest.raises(ValueError, match="split: expected one of train, val, test, got 'rest'"):
        opened.split("rest")  # type: ignore[arg-type]


def test_a_recording_in_two_given_splits_is_told(tmp_path: Path) -> None:
    make_set(tmp_path, [100] * 2)
    path = write_table(
        tmp_path / "t.csv",
        file=["r0.wav"] * 2 + ["r1.wav"],
        stop=[1, 2, 2],
        start=[0, 1, 0],
        split=["train", "val", "val"],
    )
    opened = open_recordings(TableData(path), "none")
    assert opened.remarks == ("1 recording(s) with sections in several splits: r0.wav",)
    assert opened.split("val").names == ("r0.wav, 1 to 2", "r1.wav, 0 to 2")


def test_the_command_line_derives_from_the_options(tmp_path: Path) -> None:
    parser = ArgumentParser()
    parser.add_class_arguments(TableData, "data")
    arguments = ["--data.table", "a.csv", "--data.target", "x,y", "--data.window", "2.5", "--data.cache_folder", "b"]
    options = parser.instantiate(parser.parse_args(arguments))
    assert options.data == TableData(Path("a.csv"), target="x,y", window=2.5, cache_folder=Path("b"))
    described = {action.dest.partition(".")[2]: action.help for action in parser._actions if "data." in action.dest}
    for field in fields(TableData):
        assert len(described[field.name] or "") > 10, field.name
