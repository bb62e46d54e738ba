"""Events: what the libraries of the formats wrote is read, and bad files are told in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyedflib import highlevel
from tiny_events import RATE, beats, write_annotated

from multiresconv.data.readers.events import event_source


def test_annotations_of_a_wfdb_record(tmp_path: Path) -> None:
    write_annotated(tmp_path, ["100"])
    places, symbols = beats(1250)
    for name in ("100", "100.hea", "100.dat"):
        events = event_source("atr", Path())(tmp_path / name)
        np.testing.assert_array_equal(events.times, places / RATE)
        assert list(events.labels) == symbols
        assert events.optional.tolist() == [symbol == "+" for symbol in symbols]
    assert events.places[1] == f"{tmp_path / '100.atr'}, annotation 2"


def test_annotations_of_an_edf_file(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    header = highlevel.make_header() | {"annotations": [[0.5, -1, "start"], [2.25, 1, "Sleep stage W"]]}
    headers = highlevel.make_signal_headers(["EEG"], sample_frequency=50, physical_min=-5, physical_max=5)
    assert highlevel.write_edf(str(path), [np.zeros(200)], headers, header)
    events = event_source("edf", Path())(path)
    np.testing.assert_allclose(events.times, [0.5, 2.25])
    assert events.labels == ("start", "Sleep stage W")
    assert not events.optional.any()
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"night.edf: not a readable EDF or BDF file"):
        event_source("edf", Path())(path)


def test_tables_of_events(tmp_path: Path) -> None:
    pd.DataFrame({"file": ["a.wav", "b.wav", "a.wav"], "label": ["x", "y", 1], "time": [3, 1.5, 0]}).to_csv(
        tmp_path / "all.csv", index=False
    )
    pd.DataFrame({"label": ["x", "1"], "time": [3, 0]}).to_parquet(tmp_path / "a.parquet")
    for events in ("all.csv", "parquet", ".parquet"):
        found = event_source(events, tmp_path)(tmp_path / "a.wav")
        assert found.times.tolist() == [3, 0]
        assert found.labels == ("x", "1")
    assert event_source("all.csv", tmp_path)(tmp_path / "c.wav").labels == ()


@pytest.mark.parametrize(
    ("events", "content", "wrong"),
    [
        ("all.csv", "file,time\na.csv,1\n", r"all.csv: expected a column 'label', the columns are file, time"),
        ("all.csv", "file,time,label\na.csv,-1,x\n", r"all.csv, line 2, column time: expected at least 0 seconds"),
        (
            "all.csv",
            "file,time,label\na.csv,,x\n",
            r"all.csv, line 2, column time: expected at least 0 seconds, got nan",
        ),
        ("all.csv", 'file,time,label\na.csv,1,"x\ny"\n,1,x\n', r"all.csv, line 4, column file: expected a recording"),
        ("csv", "", r"a.csv: expected its events in another file, got the recording itself; write"),
        ("atr", "abcd", r"a.atr: cut, or no WFDB annotation file: expected two zero bytes at its end"),
        ("atr", "", r"a.atr: cut, or no WFDB annotation file"),
        ("atr", "\x00\xec\x00\x00", r"a.atr: not readable annotations"),
    ],
)
def test_refused(tmp_path: Path, events: str, content: str, wrong: str) -> None:
    (tmp_path / ("all.csv" if events == "all.csv" else f"a.{events}")).write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=wrong) as error:
        event_source(events, tmp_path)(tmp_path / "a.csv")
    assert "\n" not in str(error.value)


def test_annotations_without_a_rate_are_refused(tmp_path: Path) -> None:
    write_annotated(tmp_path, ["100"])
    (tmp_path / "100.hea").unlink()
    with pytest.raises(ValueError, match=r"100.atr: expected samples per second, in the file or in the header"):
        event_source("atr", Path())(tmp_path / "100")
