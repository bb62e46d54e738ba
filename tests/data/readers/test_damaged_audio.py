"""Audio files that a library would take for another format, or that say more than they hold."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyedflib import highlevel

from multiresconv.data.readers.read_recording import read_recording


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_another_format_is_not_tried(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.zeros((500, 2)), 8000)
    assert read_recording(path).values.shape == (2, 500)
    path.write_bytes(b"\xff\xfb\x90\x00" + path.read_bytes())  # as an MP3 file begins
    with pytest.raises(ValueError, match=rf"a.{suffix}: not a readable audio file: it does not begin as"):
        read_recording(path)


def test_data_records_without_a_duration(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    headers = highlevel.make_signal_headers(["I"], sample_frequency=100, physical_min=-1, physical_max=1)
    highlevel.write_edf(str(path), [np.zeros(100)], headers)
    data = path.read_bytes()
    path.write_bytes(data[:244] + b"0       " + data[252:])
    with pytest.raises(ValueError, match=r"a.edf: "):
        read_recording(path)
