"""Doubts about the scale of recordings: units that are 1,000 apart are seen, usual differences are not."""

import numpy as np
import pytest

from multiresconv.data.recordings.doubts import doubt_scales

NAMES = [f"r{number}" for number in range(9)]


def doubts(cover: np.ndarray, units: tuple[str | None, ...] = (None, None)) -> list[str]:
    return doubt_scales(cover, NAMES, ("I", "II"), units)


def test_rows_of_another_unit_are_named() -> None:
    cover = np.random.default_rng(0).uniform(10, 30, (9, 2))
    assert doubts(cover) == []
    more, less = cover.copy(), cover.copy()
    more[[2, 5], 1] *= 1000
    less[4] /= 1000
    assert doubts(more) == [
        "2 training row(s) cover over 300 times more than the others, in channel II and perhaps more: r2, r5; "
        "another unit? Mend or leave them out: the model learns what it is given"
    ]
    windows = [f"r{number // 5}, window {number} s to {number + 1} s" for number in range(9)]
    assert ": r0, r1; another unit?" in doubt_scales(more, windows, ("I", "II"), (None, None))[0]
    assert doubts(less)[0].startswith("1 training row(s) cover over 300 times less than the others, in channel I ")
    cover[3], cover[6] = np.nan, 0  # no value, and a constant: no scale
    assert doubts(cover) == []


@pytest.mark.parametrize(("unit", "cover"), [("mV", 245), ("uV", 60_000), ("\u00b5V", 60_000)])
def test_too_much_for_a_unit_is_doubted(unit: str, cover: float) -> None:
    rows = np.full((9, 2), cover)
    (doubt,) = doubts(rows, (unit, None))
    assert doubt.startswith(f"channel I covers {cover:.4g} {unit} in half of the training rows")
    assert doubts(rows / 100, (unit, unit)) == []
    for other in ("V", "mmHg", "mg", None):
        assert doubts(rows, (other, other)) == []
    assert doubts(rows * np.nan, (unit, unit)) == []
