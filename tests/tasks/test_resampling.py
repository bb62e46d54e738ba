"""The bootstrap draws what it says, and its intervals cover as often as they say."""

import numpy as np
import pytest

from multiresconv.tasks.resampling import bootstrap, draw_blocks, draw_groups, draw_rows, interval_95


def test_rows_groups_and_blocks_are_drawn() -> None:
    random = np.random.default_rng(0)
    assert {len(draw_rows(7)(random)) for _ in range(9)} == {7}
    groups = np.array([5, 5, 9, 5, 9, 1])
    for _ in range(20):
        rows = draw_groups(groups)(random)
        counts = np.bincount(rows, minlength=6)
        assert counts[0] == counts[1] == counts[3]
        assert counts[2] == counts[4]
        assert counts[0] + counts[2] + counts[5] == 3
        rows = draw_blocks(10, 4)(random)
        assert len(rows) == 10
        assert rows.max() < 10
        assert all((np.diff(block) == 1).all() for block in (rows[:4], rows[4:8], rows[8:]))


@pytest.mark.parametrize("block", [1, 5])
def test_the_interval_of_a_mean_is_that_of_its_standard_error(block: int) -> None:
    values = np.random.default_rng(0).normal(size=400)
    means = bootstrap(lambda w: w @ values / w.sum(1), draw_blocks(400, block), 400, resamples=2000, seed=0)
    low, high = interval_95(means) or (0, 0)
    error = values.std() / 20
    assert abs((high - low) / (2 * 1.96 * error) - 1) < 0.15
    assert abs((high + low) / 2 - values.mean()) < 0.2 * error


def test_resamples_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(9.0)
    wanted = bootstrap(lambda w: w @ values, draw_rows(9), 9, resamples=20, seed=1)
    monkeypatch.setattr("multiresconv.tasks.resampling.CHUNK", 30)
    assert np.array_equal(bootstrap(lambda w: w @ values, draw_rows(9), 9, resamples=20, seed=1), wanted)
    with pytest.raises(ValueError, match="resamples: expected at least 1, got 0"):
        bootstrap(lambda w: w @ values, draw_rows(9), 9, resamples=0, seed=1)


def test_undefined_values_have_no_interval() -> None:
    assert interval_95(np.array([np.nan, np.nan])) is None
    assert interval_95(np.array([np.nan, 2.0, 2.0])) == [2.0, 2.0]
