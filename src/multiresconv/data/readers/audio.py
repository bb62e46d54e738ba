"""Read recordings from audio files: WAV, FLAC and OGG."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.extras import load_extra
from multiresconv.data.readers.recording import WHOLE, Recording, Wanted, numbered

_BEGINNINGS = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS")
_BLOCK = 1 << 20  # samples of each channel that are read at once


def read_audio(path: Path, wanted: Wanted = WHOLE) -> Recording:
    """Read the wanted section of an audio file; samples of integers are scaled to -1..1. Channels have numbers.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged, or the section or a channel is not in it; the message names the file.
        ModuleNotFoundError: the signals extra is not installed.
    """
    soundfile = load_extra("soundfile", "Audio files")
    with open(path, "rb") as file:  # so that a missing file is an error of the system
        if file.read(4) not in _BEGINNINGS:  # the library would try other formats, such as MP3
            raise ValueError(f"{path}: not a readable audio file: it does not begin as WAV, FLAC or OGG files do")
        file.seek(0)
        try:
            with soundfile.SoundFile(file) as sound:
                names, rate = numbered(sound.channels), float(sound.samplerate)
                columns = wanted.columns(names, str(path))
                part = wanted.section(sound.frames, rate, str(path))
                sound.seek(part.start)
                values = _samples(sound, part.stop - part.start)
        except soundfile.SoundFileError as error:
            raise ValueError(f"{path}: not a readable audio file: {getattr(error, 'error_string', error)}") from None
    if len(values) < part.stop - part.start:
        raise ValueError(f"{path}: cut: expected {part.stop - part.start} samples, got {len(values)}")
    values = np.ascontiguousarray(values.T[columns])
    return Recording(values, tuple(names[column] for column in columns), rate, None)


def _samples(sound: Any, count: int) -> NDArray[np.float32]:
    """Return the next samples (time, channels); fewer if the file has fewer than it says, however many that are."""
    parts = [np.zeros((0, sound.channels), np.float32)]
    while count > 0 and len(part := sound.read(min(count, _BLOCK), dtype="float32", always_2d=True)):
        parts.append(part)
        count -= len(part)
    return np.concatenate(parts)
