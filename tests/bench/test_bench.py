"""The speed table: its cells say what was measured, or why not; its command writes three files."""

import itertools
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from multiresconv.bench import measure as measuring
from multiresconv.bench.cells import Cells, extrapolate
from multiresconv.bench.contenders import CONTENDERS
from multiresconv.bench.markdown import losses, markdown
from multiresconv.bench.measure import MEASURES, STREAMS, measure
from multiresconv.bench.memory import peak_extra_memory
from multiresconv.bench.picture import draw, spread
from multiresconv.bench.setting import Setting
from multiresconv.bench.timing import take_turns
from multiresconv.bench.trial import try_out
from multiresconv.cli import main
from multiresconv.installation import how_to_install

pytestmark = pytest.mark.slow

HERE = [name for name, contender in CONTENDERS.items() if contender.missing("cpu") is None and name != "compile"]
LINUX = Path("/proc/self/clear_refs").exists()
SETTING = Setting(d_model=4, batch_size=2, repeats=1)


def test_contenders_take_turns_and_the_slow_ones_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    now = 0.0

    def slow() -> None:
        nonlocal now
        log.append("slow")
        now += 0.1

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    times = take_turns({"fast": lambda: log.append("fast"), "slow": slow}, repeats=8, budget=0.25)
    assert (times["fast"].repeats, times["slow"].repeats) == (8, 3)
    assert [times["slow"].low, times["slow"].median, times["slow"].high] == pytest.approx([0.1] * 3)
    # Each is run once before the rounds, and in a round twice, of which the second is counted.
    rounds = [log[start : start + 4] for start in (2, 6, 10)]
    assert log[:2] + log[14:] == ["fast", "slow"] + 5 * ["fast", "fast"]
    assert all(sorted(turns) == ["fast", "fast", "slow", "slow"] and turns[0] == turns[1] for turns in rounds)


def test_no_contender_always_follows_the_same_one() -> None:
    log: list[int] = []
    take_turns({str(n): lambda n=n: log.append(n) for n in range(4)}, repeats=20, budget=10.0)
    turns = log[4::2]
    assert len({tuple(turns[start : start + 4]) for start in range(0, len(turns), 4)}) > 10


@given(
    value=st.floats(1e-6, 1e6),
    power=st.floats(0, 3),
    lengths=st.lists(st.integers(1, 10**5), min_size=3, max_size=5, unique=True).map(sorted),
)
def test_growth_is_extrapolated_between_linear_and_quadratic(value: float, power: float, lengths: list[int]) -> None:
    known = {n: value * (n / lengths[-2]) ** power for n in lengths[:-1]}
    expected = value * (lengths[-1] / lengths[-2]) ** min(max(power, 1), 2)
    assert extrapolate(known, lengths[-1]) == pytest.approx(expected)
    assert extrapolate({lengths[0]: value}, lengths[1]) == pytest.approx(value * lengths[1] / lengths[0])
    assert extrapolate({}, lengths[0]) is extrapolate({lengths[0]: 0.0}, lengths[1]) is None


@given(heights=st.lists(st.floats(0, 1), min_size=1, max_size=11))
def test_labels_do_not_touch(heights: list[float]) -> None:
    named = {str(number): height for number, height in enumerate(heights)}
    moved = spread(named, 0.055)
    order = sorted(named, key=lambda name: named[name])
    places = [moved[name] for name in order]
    assert all(above - below >= 0.055 - 1e-9 for below, above in itertools.pairwise(places))
    assert -1e-9 <= places[0] <= places[-1] <= 1 + 1e-9
    assert spread(moved, 0.055) == pytest.approx(moved)


def trials(monkeypatch: pytest.MonkeyPatch, result: int | Exception | None) -> list[tuple[str, int]]:
    """Let trials have this result instead of a process of their own; gives what they were asked for."""
    asked: list[tuple[str, int]] = []

    def fake(name: str, length: int, setting: Setting, timeout: float) -> int | None:
        asked.append((name, length))
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(measuring, "try_out", fake)
    return asked


def last(reports: Iterator[dict[str, Any]]) -> dict[str, Any]:
    *_, report = reports
    return report


def measured(names: list[str], lengths: list[int], setting: Setting = SETTING) -> dict[str, Any]:
    return last(measure(names, lengths, setting, say=lambda text: None))


def test_every_cell_has_a_number_or_says_why_it_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = trials(monkeypatch, 3 << 20)
    report = json.loads(json.dumps(measured([*HERE, "triton"], [16, 8, 16])))
    assert report["lengths"] == [8, 16]
    assert asked == [(name, length) for length in (8, 16) for name in HERE]
    for name in MEASURES:
        for contender, cells in report["cells"][name].items():
            for cell in (cells["8"], cells["16"]):
                about = CONTENDERS[contender]
                if contender == "triton":
                    assert cell == {"missing": "not measured: runs on a GPU only"}
                elif name in STREAMS and about.no_stream:
                    assert cell == {"missing": about.no_stream}
                elif name == "step of 16" and about.stream_batch == 1:
                    assert cell["missing"].startswith("-: ")
                elif name == "memory":
                    assert cell == {"bytes": 3 << 20}
                else:
                    assert 0 < cell["low"] == cell["median"] == cell["high"]
                    assert cell["repeats"] == 1
    text = markdown(report)
    sections = text.split("\n## ")[1 : 1 + len(MEASURES)]
    for section in sections:
        (number,) = re.findall(r"^\[(\d)\] runs on a GPU only", section, re.MULTILINE)
        assert f"| MultiresLayer, triton | not measured [{number}] | not measured [{number}] |" in section
        assert section.count(" | ") == 2 * (1 + len(report["contenders"]))
    assert re.search(r"^\| FFT convolution \| - \[\d\] \| - \[\d\] \|$", sections[2], re.MULTILINE)
    assert "] recomputes the whole sequence for every step" in sections[2]
    assert sections[4].count("| **3** | **3** |") == len(HERE)
    assert [axes.get_title(loc="left") for axes in draw(report).axes] == [
        "Training step",
        "Inference",
        "One step of a stream, batch 1",
        "Peak memory of a training step",
    ]
    report["lengths"] = [8]
    assert draw(report).axes


def test_what_is_lost_is_said() -> None:
    def row(seconds: float) -> dict[str, Any]:
        return {"8": {"median": seconds, "low": seconds, "high": seconds, "repeats": 3}}

    cells = {"cpu": row(2.0), "block": row(3.0), "fft": row(1.0), "s4d": row(2.5), "gru": row(2.5), "lstm": row(1.5)}
    rows = {name: measuring.describe(name) for name in cells}
    report = {"lengths": [8], "contenders": rows, "cells": {"train": cells}}
    assert losses(report) == [
        "- Training step: FFT convolution before MultiresLayer, cpu, L = 8 (0.5x).",
        "- Training step: GRU before MultiresBlock, L = 8 (0.83x).",
        "- Training step: LSTM before MultiresLayer, cpu, L = 8 (0.75x).",
        "- Training step: LSTM before MultiresBlock, L = 8 (0.5x).",
    ]
    report["cells"] = {"train": {"cpu": row(1.0), "fft": {"8": {"missing": "left out: > 60 s"}}}}
    assert losses(report) == ["Nowhere in this run."]


def test_what_would_take_too_long_is_left_out_untried(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = trials(monkeypatch, None)
    report = measured(["cpu"], [8, 16], Setting(d_model=4, repeats=1, limit=1e-9))
    assert asked == [("cpu", 8)]
    cells = {name: report["cells"][name]["cpu"] for name in MEASURES}
    assert cells["memory"]["8"] == {"missing": "not measured: this system does not tell"}
    for name in ("train", "inference"):
        assert cells[name]["8"]["median"] > 0
        assert cells[name]["16"]["missing"].startswith("left out: > 1e-09 s, expected to take ")
    assert cells["memory"]["16"] == cells["train"]["16"]
    assert cells["step"]["16"]["median"] > 0
    assert "| left out [" in markdown(report)


def test_what_needs_more_memory_than_there_is_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = trials(monkeypatch, 3 << 30)
    monkeypatch.setattr(measuring, "available_memory", lambda device: 5 << 30)
    cells = measured(["cpu"], [8, 16])["cells"]
    assert asked == [("cpu", 8)]
    assert cells["memory"]["cpu"]["16"] == cells["train"]["cpu"]["16"]
    assert cells["train"]["cpu"]["16"] == {"missing": "left out: expected to need 6 GiB where 5 GiB are free"}
    assert cells["inference"]["cpu"]["16"]["median"] > 0


def test_a_trial_that_fails_or_is_slow_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    trials(monkeypatch, RuntimeError("no memory"))
    cells = measured(["cpu"], [8])["cells"]
    assert all(cells[name]["cpu"]["8"] == {"missing": "failed: no memory"} for name in MEASURES)
    trials(monkeypatch, TimeoutError())
    cells = measured(["cpu"], [8])["cells"]
    assert cells["memory"]["cpu"]["8"] == cells["train"]["cpu"]["8"] == {"missing": "left out: > 60 s"}
    assert cells["inference"]["cpu"]["8"]["median"] > 0


def test_cells_expect_by_what_was_measured() -> None:
    cells = Cells(["memory", "train"], ["a"])
    cells.put("memory", "a", 8, {"bytes": 100})
    cells.leave_out(["memory", "train"], "a", 16, "left out: x")
    assert cells.expected("memory", "a", 32) == 400
    assert cells.expected("train", "a", 32) is None
    assert cells.is_open("train", "a", 8)
    assert not cells.is_open("train", "a", 16)


@pytest.mark.skipif(not LINUX, reason="needs /proc of Linux")
def test_peak_memory_is_that_of_the_call() -> None:
    kept: list[Tensor] = []

    def call() -> None:
        kept.append(torch.ones(16 << 20))
        kept.pop()

    for _ in range(2):
        extra = peak_extra_memory(call)
        assert extra is not None
        assert 60 << 20 < extra < 80 << 20


def test_a_trial_tells_of_its_failure() -> None:
    with pytest.raises(RuntimeError, match="alloc"):
        try_out("cpu", 1 << 50, Setting(d_model=4), timeout=60)
    with pytest.raises(TimeoutError, match=r"gru, length 64: not done after 0.01 s"):
        try_out("gru", 64, Setting(d_model=4), timeout=0.01)


def test_the_command_writes_three_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "results"
    options = ["--d_model", "4", "--threads", "1", "--repeats", "1", "--device", "cpu", "--out", str(out)]
    threads = torch.get_num_threads()
    try:
        assert main(["bench", "--lengths", "64", "--contenders", "cpu", "triton", *options]) == 0
    finally:
        torch.set_num_threads(threads)
    assert sorted(path.name for path in out.iterdir()) == ["layers.json", "layers.md", "layers.png"]
    text = (out / "layers.md").read_text()
    assert capsys.readouterr().out == f"{text}\n"
    assert (out / "layers.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads((out / "layers.json").read_text())
    assert markdown(report) == text
    assert (report["lengths"], report["repeats"], report["threads"]) == ([64], 1, 1)
    for name in MEASURES:
        assert report["cells"][name]["triton"]["64"] == {"missing": "not measured: runs on a GPU only"}
        assert ("missing" in report["cells"][name]["cpu"]["64"]) == (name == "memory" and not LINUX)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--contenders", "cpu", "mamba", "rwkv"], "--contenders mamba rwkv: expected some of cpu, triton, block,"),
        (["--lengths", "64", "1"], "--lengths: expected at least 2, got 1"),
        (["--repeats", "0"], "--repeats: expected at least 1, got 0"),
        (["--d_model", "0"], "--d_model: expected at least 1, got 0"),
        (["--batch_size", "-1"], "--batch_size: expected at least 1, got -1"),
        (["--threads", "0"], "--threads: expected at least 1, got 0"),
        (["--limit", "0"], "--limit: expected seconds, more than 0, got 0"),
        (["--limit", "nan"], "limit"),
        (["--lengths", "long"], "lengths"),
        (["--device", "tpu"], "device"),
    ],
)
def test_bad_input_ends_in_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--out", str(tmp_path / "out"), *options]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("multiresconv.bench.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pytorch_tcn", None)
    assert main(["bench", "--out", str(tmp_path)]) == 2
    expected = f"multiresconv: error: the speed table needs pytorch-tcn: {how_to_install('bench')}\n"
    assert capsys.readouterr().err == expected


def test_the_help_names_every_contender(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "--help"])
    assert exit_.value.code == 0
    assert f"some of {', '.join(CONTENDERS)};" in " ".join(capsys.readouterr().out.split())
