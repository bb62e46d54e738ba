"""The progress of a run tells how long it still takes, at most until its time limit."""

import re
from datetime import timedelta

import pytest

from multiresconv.training.early_end import EarlyEnd
from multiresconv.training.progress import Progress
from multiresconv.training.state import RunState


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds; a test sets it."""
    now = [0.0]
    monkeypatch.setattr("multiresconv.training.progress.time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(None, ("10%", "06:00 left")), (100, ("40%", "01:00 left")), (4000, ("10%", "06:00 left"))],
)
def test_the_time_left_keeps_to_the_limit(
    clock: list[float], capsys: pytest.CaptureFixture[str], limit: int | None, expected: tuple[str, str]
) -> None:
    """100 of 1,000 samples take 40 s, so that the others take 360 s."""
    end = EarlyEnd(None if limit is None else timedelta(seconds=limit), None)
    progress = Progress(enabled=True)
    progress.start(RunState(), 100, 0, 1000, end)
    clock[0] = end.seconds = 40.0
    progress.step(100, 0.5, None)
    progress.close()
    share, left = expected
    assert re.search(rf"^epoch 1, {share}, loss 0.5000, \d+ samples/s, {left}$", capsys.readouterr().err, re.M)
