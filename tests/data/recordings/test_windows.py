"""Windows tile recordings as stated."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data.recordings.windows import cut_windows


@examples(100)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    window=st.integers(1, 15),
    hop=st.none() | st.integers(1, 20),
)
def test_windows_tile_as_stated(lengths: list[int], window: int, hop: int | None) -> None:
    expected = []
    for recording, length in enumerate(lengths):
        if length < window:
            expected.append((recording, 0, length))
        step = hop or window
        expected += [(recording, start, window) for start in range(0, length - window + 1, step)]
    found = cut_windows(np.array(lengths), window, hop)
    assert list(zip(*(array.tolist() for array in found), strict=True)) == expected


def test_without_a_window_recordings_stay_whole() -> None:
    found = cut_windows(np.array([3, 1, 7]), None, None)
    assert [array.tolist() for array in found] == [[0, 1, 2], [0, 0, 0], [3, 1, 7]]
