"""Read recordings from audio files: WAV, FLAC and OGG."""

from pathlib import Path

import numpy as np

from multiresconv.data.readers.extras import load_extra
from multiresconv.data.readers.recording import WHOLE, Recording, Wanted, numbered


def read_audio(path: Path, wanted: Wanted = WHOLE) -> Recording:
    """Read the wanted section of an audio file; samples of integers are scaled to -1..1. Channels have numbers.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged, or the section or a channel is not in it; the message names the file.
        ModuleNotFoundError: the signals extra is not installed.
    """
    soundfile = load_extra("soundfile", "Audio files")
    with open(path, "rb") as file:  # so that a missing file is an error of the system
        try:
            with soundfile.SoundFile(file) as sound:
                names, rate = numbered(sound.channels), float(sound.samplerate)
                columns = wanted.columns(names, str(path))
                part = wanted.section(sound.frames, rate, str(path))
                sound.seek(part.start)
                values = sound.read(part.stop - part.start, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise ValueError(f"{path}: not a readable audio file: {getattr(error, 'error_string', error)}") from None
    if len(values) < part.stop - part.start:
        raise ValueError(f"{path}: cut: expected {part.stop - part.start} samples, got {len(values)}")
    values = np.ascontiguousarray(values.T[columns])
    return Recording(values, tuple(names[column] for column in columns), rate, None)
