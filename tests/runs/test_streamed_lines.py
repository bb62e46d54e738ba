"""`predict --stream`: a bad line ends it with its number, or the last good value is held."""

from typing import Any

import pytest
from small_models import signal

LINES = [",".join(f"{value:.3f}" for value in sample) for sample in signal(6)]


def stream(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ("0.1,1e38,0.3", "line 4, column 2 (II)"),
        ("0.1,nan,0.3", "line 4, column 2 (II)"),
        ("0.1,,0.3", "line 4, column 2 (II)"),
        ("0,1;0,2;0,3", "line 4, column 1 (I)"),
        ("0.1,0.2", "line 4"),
        ("", "line 4"),
        ("x", "line 4"),
        ("0.1,\0,0.3", "line 4"),
    ],
)
def test_a_bad_sample_ends_the_stream(bad: str, place: str, predicted: Any) -> None:
    seen = predicted("signal", "--stream", stdin=stream([*LINES[:3], bad, *LINES[3:]]))
    assert (seen.code, len(seen.rows), len(seen.said)) == (2, 3, 1)
    assert f"standard input, {place}" in seen.said[0]


@pytest.mark.parametrize("bad", ["{0},1e38,{2}", "{0},nan,{2}", "{0},,{2}"])
def test_a_bad_sample_is_held(bad: str, predicted: Any) -> None:
    fields = LINES[3].split(",")
    held = ",".join([fields[0], LINES[2].split(",")[1], fields[2]])
    expected = predicted("signal", "--stream", stdin=stream([*LINES[:3], held, *LINES[4:]]))
    given = stream([*LINES[:3], bad.format(*fields), *LINES[4:]])
    seen = predicted("signal", "--stream", "--missing", "hold", stdin=given)
    assert (seen.code, seen.rows, expected.said) == (0, expected.rows, [])
    assert len(seen.rows) == 6
    assert seen.said == ["multiresconv: standard input: 1 missing values held"]


def test_a_unit_in_the_header_is_converted(predicted: Any) -> None:
    expected = predicted("signal", "--stream", stdin=stream(LINES))
    microvolts = [",".join(f"{1000 * value:.9g}" for value in sample) for sample in signal(6)]
    seen = predicted("signal", "--stream", stdin=stream(["I (uV),II (uV),V1 (uV)", *microvolts]))
    assert seen.said == ["multiresconv: standard input: converted from uV to mV"]
    for row, other in zip(seen.rows, expected.rows, strict=True):
        assert row == pytest.approx(other, rel=1e-5)


def test_an_unusual_sample_is_said_once(predicted: Any) -> None:
    counts = [",".join(f"{1000 * value:.0f}" for value in sample) for sample in signal(6)]
    seen = predicted("signal", "--stream", stdin=stream(counts))
    assert (seen.code, len(seen.rows), len(seen.said)) == (0, 6, 1)
    assert "another unit, or raw converter counts?" in seen.said[0]


def test_an_empty_stream_is_refused(predicted: Any) -> None:
    seen = predicted("signal", "--stream", stdin="")
    assert (seen.code, len(seen.said)) == (2, 1)


@pytest.mark.parametrize(
    ("model", "lines", "place"),
    [
        ("listops", ["[MAX", "1", "128"], "line 3: unknown token '128'"),
        ("listops", ["1 " * 3000], "line 1: expected at most 2048 tokens"),
        ("grey", ["0", "255", "256"], "line 3, column 1: expected pixels from 0 to 255"),
        ("grey", ["0", ""], "line 2"),
        ("grey", ["0", "nan"], "line 2"),
        ("grey", ["0", "0.5"], "line 2, column 1: expected whole numbers"),
        ("colours", ["0 0 0", "1 2"], "line 2: expected 3 number(s), got 2"),
    ],
)
def test_bad_tokens_and_pixels_end_the_stream(model: str, lines: list[str], place: str, predicted: Any) -> None:
    seen = predicted(model, "--stream", stdin=stream(lines))
    assert (seen.code, len(seen.said)) == (2, 1)
    assert f"standard input, {place}" in seen.said[0]


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        (["--window", 0.02, "--hop", 0.01], [0, 0, 1, 2, 3, 4]),
        (["--window", 0.04], [0, 0, 0, 0, 1, 2]),
        (["--window", 0.04, "--hop", 0.04], [0, 0, 0, 0, 4, 4]),
    ],
)
def test_a_window_predicts_from_the_last_samples(options: list[Any], begins: list[int], predicted: Any) -> None:
    seen = predicted("signal", "--stream", *options, stdin=stream(LINES))
    for row, begin, end in zip(seen.rows, begins, range(1, 7), strict=True):
        alone = predicted("signal", "--stream", stdin=stream(LINES[begin:end]))
        assert row == pytest.approx(alone.rows[-1], abs=1e-5)


def test_a_half_life_forgets_and_a_warm_up_says_nothing(predicted: Any) -> None:
    plain, fading, long, late = (
        predicted("signal", "--stream", *options, stdin=stream(LINES))
        for options in ([], ["--half_life", 0.02], ["--half_life", 1e9], ["--warm_up", 0.04])
    )
    assert fading.rows[0] == pytest.approx(plain.rows[0], abs=1e-6)
    assert fading.rows[5] != pytest.approx(plain.rows[5], abs=1e-4)
    assert all(row == pytest.approx(other, abs=1e-5) for row, other in zip(long.rows, plain.rows, strict=True))
    assert late.rows == plain.rows[3:]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--stream", "--window", 0.02, "--half_life", 0.02], "window, half_life: expected one of them"),
        (["--stream", "--hop", 0.02], "--hop: expected --window too"),
        (["--stream", "--window", -1], "--window: expected more than 0, got -1"),
        (["--stream", "--window", 0.001], "expected at least one sample, got 0.001 s at 100 samples a second"),
        (["--stream", "--warm_up", 0], "--warm_up: expected more than 0, got 0"),
        (["x.csv", "--half_life", 1], "--half_life: expected with --stream"),
        (["x.csv", "--window", 1], "--window: expected with --table or --stream"),
    ],
)
def test_options_of_a_stream_are_checked(options: list[Any], fault: str, predicted: Any) -> None:
    seen = predicted("signal", *options, stdin=stream(LINES))
    assert (seen.code, seen.rows, len(seen.said)) == (2, [], 1)
    assert fault in seen.said[0]
