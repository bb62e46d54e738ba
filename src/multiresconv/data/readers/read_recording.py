"""Read a recording of any format."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from multiresconv.data.readers.arrays import read_npy
from multiresconv.data.readers.audio import read_audio
from multiresconv.data.readers.csv import read_csv
from multiresconv.data.readers.edf import read_edf
from multiresconv.data.readers.parquet import read_parquet
from multiresconv.data.readers.recording import Recording, Wanted
from multiresconv.data.readers.resample import resample
from multiresconv.data.readers.values import LARGEST
from multiresconv.data.readers.wfdb import read_wfdb_recording

READERS: dict[str, Callable[[Path, Wanted], Recording]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_csv,
    ".parquet": read_parquet,
    ".pq": read_parquet,
    ".npy": read_npy,
    ".wav": read_audio,
    ".flac": read_audio,
    ".ogg": read_audio,
    ".edf": read_edf,
    ".bdf": read_edf,
    ".hea": read_wfdb_recording,
    ".dat": read_wfdb_recording,
}


def read_recording(
    path: str | Path,
    *,
    channels: Sequence[str] | None = None,
    rate: float | None = None,
    start: float | None = None,
    stop: float | None = None,
) -> Recording:
    """Read a recording, or a section of it; the suffix of the file says which format it has.

    Args:
        path: `.csv`, `.tsv`, `.txt`, `.parquet`, `.npy` (time, channels), `.wav`, `.flac`, `.ogg`, `.edf`, `.bdf`, or a
            WFDB record by the name of its header, with or without `.hea`.
        channels: names of the channels to return, in this order; case does not matter. None returns all.
        rate: samples per second to return, see `resample`. A file that states no rate is taken to have this one. None
            keeps the rate of the file.
        start: beginning of the section in seconds; in samples if neither the file nor `rate` tells the rate.
        stop: end of the section in the same unit, not included.

    Returns:
        The recording; NaN where a value is missing.

    Raises:
        OSError: the file cannot be read.
        ValueError: an unknown suffix, a damaged file, a value that is infinite or above 1e18, or a channel or section
            that is not in the file; the message names the file.
        ModuleNotFoundError: the extra that reads this format is not installed.
    """
    if isinstance(channels, str):
        raise TypeError(f"channels: expected a sequence of names, got the text {channels!r}")
    wanted = Wanted(None if channels is None else tuple(channels), rate, start, stop)
    return next(read_sections(Path(path), [wanted]))


def read_sections(path: Path, sections: Sequence[Wanted]) -> Iterator[Recording]:
    """Yield several sections of a recording; see `read_recording`. A table of text is parsed once for all of them."""
    for recording, wanted in zip(read_stored(path, sections), sections, strict=True):
        yield at_rate(recording, wanted.rate, str(path))


def read_stored(path: Path, sections: Sequence[Wanted]) -> Iterator[Recording]:
    """Yield sections as `read_sections` does, but with the rate of the file, None if it states none.

    Only the channels of a file that have different rates are brought to the wanted one.
    """
    suffix = path.suffix.lower()
    read = READERS.get(suffix)
    if read is None:
        if not path.with_name(f"{path.name}.hea").is_file():
            _refuse(path)
        read = read_wfdb_recording
    whole: dict[tuple[str, ...] | None, Recording] = {}
    for wanted in sections:
        if wanted.rate is not None and not 0 < wanted.rate < float("inf"):
            raise ValueError(f"rate: expected more than 0 samples a second, got {wanted.rate:g}")
        if read is read_csv and len(sections) > 1:
            if wanted.channels not in whole:
                whole[wanted.channels] = read_csv(path, Wanted(wanted.channels))
            recording = whole[wanted.channels]
            part = wanted.section(recording.values.shape[1], recording.rate, str(path))
            recording = recording._replace(values=recording.values[:, part])
        else:
            recording = read(path, wanted)
        _check_size(recording, path)
        yield recording


def at_rate(recording: Recording, rate: float | None, where: str) -> Recording:
    """Bring a recording to a rate, see `resample`; None keeps its rate. One without a rate is taken to have this one.

    Raises:
        ValueError: the rates are too far apart; the message begins with `where`.
    """
    if rate is None:
        return recording
    if recording.rate is None:
        return recording._replace(rate=float(rate))
    try:
        values = resample(recording.values, recording.rate, rate)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return recording._replace(values=values, rate=float(rate))


def _refuse(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    raise ValueError(f"{path}: expected a recording ({', '.join(READERS)}), got a file of another suffix")


def _check_size(recording: Recording, path: Path) -> None:
    bad = np.abs(recording.values) > LARGEST  # NaN is not
    if bad.any():
        channel, sample = (int(index) for index in np.argwhere(bad)[0])
        raise ValueError(
            f"{path}: channel {recording.channels[channel]}, sample {sample + 1}: expected a number of at most "
            f"{LARGEST:g}, got {recording.values[channel, sample]:g}"
        )
