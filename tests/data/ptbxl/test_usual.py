"""The usual range of each lead: where most training records stay."""

from pathlib import Path

import numpy as np
from tiny_ptbxl import make_ptbxl

from multiresconv.data.ptbxl import open_ptbxl, usual_ranges


def test_usual_ranges_hold_all_but_the_extreme_records(tmp_path: Path) -> None:
    split = open_ptbxl(make_ptbxl(tmp_path / "ptbxl"), "train", "all")
    ranges = np.array(usual_ranges(split))
    signals = split.signals.astype(np.float64)
    lowest, highest = signals.min(1), signals.max(1)
    assert ranges.shape == (12, 2)
    np.testing.assert_allclose(ranges[:, 0], np.percentile(lowest, 1, axis=0), atol=5.1e-5)  # rounded to 0.0001
    np.testing.assert_allclose(ranges[:, 1], np.percentile(highest, 99, axis=0), atol=5.1e-5)
    assert ((lowest < ranges[:, 0]).sum(0) <= 1).all()
