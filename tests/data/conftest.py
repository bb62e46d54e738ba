"""What the tests of both caches share."""

import pytest

from multiresconv.data import cache


@pytest.fixture
def builds(monkeypatch):
    """A list that grows with every build."""
    made = []
    scratch_folder = cache.scratch_folder
    monkeypatch.setattr(cache, "scratch_folder", lambda *where: (made.append(where), scratch_folder(*where))[1])
    return made
