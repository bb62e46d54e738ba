"""Windows around events: each is the section of the signal that it says, and no sample is in two splits."""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_events import LEADS, RATE, beats, write_annotated
from tiny_recordings import make_set, signal_of

from multiresconv.data.readers.read_recording import read_recording
from multiresconv.data.recordings import RecordingSet, TableData, open_recordings
from multiresconv.data.splits import SPLITS

NAMES = [str(number) for number in range(100, 106)]
BEFORE, AFTER = 36, 54  # samples


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TableData:
    table = write_annotated(tmp_path_factory.mktemp("records"), NAMES)
    return TableData(table, events="atr", before=BEFORE / RATE, after=AFTER / RATE)


def labels_of(opened: RecordingSet, split) -> list[str]:
    return [opened.targets.names[value] for value in opened.split(split).targets.values]


def test_each_row_is_the_window_around_its_annotation(data: TableData) -> None:
    opened = open_recordings(data, "class")
    places, symbols = beats(1250)
    inside = [
        (place, symbol)
        for place, symbol in zip(places.tolist(), symbols, strict=True)
        if symbol != "+" and BEFORE <= place <= 1250 - AFTER
    ]
    assert opened.targets.names == ("A", "N", "V")
    assert (opened.channels, opened.rate) == (LEADS, RATE)
    seen = 0
    for split in SPLITS:
        rows = opened.split(split)
        assert set(rows.groups) == set(opened.assignment()[split])
        labels = labels_of(opened, split)
        for name in opened.assignment()[split]:
            whole = read_recording(data.table.parent / name).values.T
            of_file = [row for row in range(len(rows)) if rows.names[row].startswith(f"{name}, window")]
            assert [labels[row] for row in of_file] == [symbol for _, symbol in inside]
            for row, (place, _) in zip(of_file, inside, strict=True):
                np.testing.assert_array_equal(rows[row][0], whole[place - BEFORE : place + AFTER])
            seen += len(of_file)
    assert seen == len(NAMES) * len(inside)
    assert sum(len(opened.split(split)) for split in SPLITS) == seen
    assert "6 event(s) with labels that are not kept: + (6)" in opened.remarks
    left_out = len(NAMES) * (len(symbols) - 1 - len(inside))
    assert f"{left_out} event(s) too close to an end for a whole window, left out" in opened.remarks


def test_all_events_of_a_file_are_in_one_split(data: TableData) -> None:
    opened = open_recordings(data, "class")
    groups = [set(opened.split(split).groups) for split in SPLITS]
    assert sum(map(len, groups)) == len(set.union(*groups)) == len(NAMES)
    assert sorted(chain.from_iterable(opened.assignment().values())) == NAMES


def test_one_record_is_split_in_time_without_a_common_sample(data: TableData, tmp_path: Path) -> None:
    table = write_annotated(tmp_path, ["200"], length=20_000)
    opened = open_recordings(replace(data, table=table), "class")
    assert any("1 recording(s) for 3 splits: cut into parts" in remark for remark in opened.remarks)
    whole = read_recording(tmp_path / "200").values
    covered, symbols = {}, dict(zip(*map(list, beats(20_000)), strict=True))
    for split in SPLITS:
        rows = opened.split(split)
        assert set(labels_of(opened, split)) == {"A", "N", "V"}
        covered[split] = {start + step for start in rows.starts.tolist() for step in range(BEFORE + AFTER)}
        for row in range(len(rows)):
            start = int(rows.starts[row])
            np.testing.assert_array_equal(rows[row][0], whole[:, start : start + BEFORE + AFTER].T)
            assert symbols[start + BEFORE] == labels_of(opened, split)[row]
    assert not covered["train"] & covered["val"]
    assert not covered["train"] & covered["test"]
    assert not covered["val"] & covered["test"]
    alone = open_recordings(replace(data, table=table, val_share=0, test_share=0), "class")
    assert len(alone.split("train")) == len(beats(20_000)[0]) - 1
    table.write_text("file,group\n200,p1\n")
    with pytest.raises(ValueError, match="at least 3 groups, one each for train, val, test, got 1"):
        open_recordings(replace(data, table=table), "class")


def test_labels_that_are_kept_and_others(data: TableData) -> None:
    whole = replace(data, val_share=0, test_share=0)
    every = labels_of(open_recordings(whole, "class"), "train")
    for keep, other, names in (("N,V", None, ("N", "V")), ("V", "rest", ("V", "rest")), ("N,A,q", None, ("A", "N"))):
        opened = open_recordings(replace(whole, keep=keep, other=other), "class")
        assert opened.targets.names == names
        kept = keep.split(",")
        expected = [label if label in kept else other for label in every if label in kept or other]
        assert labels_of(opened, "train") == expected
    assert "no event with the label(s) q" in opened.remarks


def test_sections_given_splits_and_other_rates(data: TableData) -> None:
    table = data.table.with_name("sections.csv")
    pd.DataFrame(
        {"file": ["100", "100", "101"], "start": [0, 1.5, ""], "stop": [1.5, 3, ""], "split": ["train", "test", "val"]}
    ).to_csv(table, index=False)
    opened = open_recordings(replace(data, table=table), "class")
    places = beats(1250)[0][1:]
    for split, (low, high) in zip(SPLITS, ((0, 540), (0, 1250), (540, 1080)), strict=True):
        inside = [place for place in places if low + BEFORE <= place <= high - AFTER]
        assert len(opened.split(split)) == len(inside)
    halved = open_recordings(replace(data, table=table, rate=RATE / 2), "class")
    assert set(halved.split("val").lengths.tolist()) == {(BEFORE + AFTER) // 2}
    assert len(halved.split("val")) == len(opened.split("val"))


def test_a_table_of_events_in_samples_with_numbers_as_targets(tmp_path: Path) -> None:
    signals = [signal_of(number, 60) for number in range(4)]
    for number, signal in enumerate(signals):
        np.save(tmp_path / f"{number}.npy", signal)
    (tmp_path / "t.csv").write_text("file\n" + "".join(f"{number}.npy\n" for number in range(4)))
    lines = [f"{number}.npy,{10 + 10 * number},{number / 2}" for number in range(3)]
    (tmp_path / "steps.csv").write_text("\n".join(["file,time,label", *lines, "0.npy,59,7", "0.npy,1e300,7"]) + "\n")
    data = TableData(tmp_path / "t.csv", events="steps.csv", before=5, after=3, val_share=0, test_share=0)
    opened = open_recordings(data, "value")
    rows = opened.split("train")
    assert rows.targets.values.tolist() == [[0], [0.5], [1]]
    for number in range(3):
        place = 10 + 10 * number
        np.testing.assert_array_equal(rows[number][0], signals[number][place - 5 : place + 3])
    assert "1 recording(s) without an event: 3.npy" in opened.remarks
    assert "1 event(s) after the end of their recording, left out; times are in samples" in opened.remarks


def test_unreadable_annotations_are_named_or_left_out(data: TableData, tmp_path: Path) -> None:
    table = write_annotated(tmp_path, NAMES)
    (tmp_path / "103.atr").unlink()
    (tmp_path / "104.atr").write_bytes(b"x")
    with pytest.raises(FileNotFoundError, match=r"103\.atr"):
        open_recordings(replace(data, table=table), "class")
    opened = open_recordings(replace(data, table=table, skip_unreadable=True), "class")
    assert [name for name, _ in opened.skipped] == ["103", "104"]
    assert sorted(chain.from_iterable(opened.assignment().values())) == ["100", "101", "102", "105"]


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"events": None}, "before: expected with the option events"),
        ({"before": None}, "before: expected at least 0 with the option events, got none"),
        ({"after": -1}, "after: expected at least 0 with the option events, got -1"),
        ({"before": 0, "after": 0.001}, "before, after: expected a sample between them, got 0 and 0.001 s at 360"),
        ({"window": 1}, "window: expected none with the option events"),
        ({"target": "y"}, "target: expected none with the option events"),
        ({"other": "rest"}, "other: expected with the option keep"),
        ({"id": "y"}, "events: expected a table with a row per recording"),
        ({"events": "."}, "events: expected a suffix such as atr"),
        ({"keep": "x"}, r"records.csv: events: expected some in the recordings, got none; .*no event with .* x"),
        ({"keep": "N"}, "at least two classes in column label, got 'N' alone"),
    ],
)
def test_refused(data: TableData, options: dict, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        open_recordings(replace(data, **options), "class")


def test_forecasts_refuse_events(data: TableData) -> None:
    with pytest.raises(ValueError, match="events: expected none for this task"):
        open_recordings(data, "none")


def test_times_in_another_unit_are_doubted(tmp_path: Path) -> None:
    table = make_set(tmp_path, [50, 60])
    (tmp_path / "ms.csv").write_text("file,time,label\nr0.wav,500,a\nr1.wav,700,b\n")
    with pytest.raises(ValueError, match=r"got none; 2 event\(s\) after the end of their recording, .* in seconds"):
        open_recordings(TableData(table, events="ms.csv", before=0.1, after=0.1), "class")
