"""Read recordings from EDF and BDF files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.extras import load_extra
from multiresconv.data.readers.recording import WHOLE, Recording, Wanted, distinct, listed
from multiresconv.data.readers.resample import resample


def read_edf(path: Path, wanted: Wanted = WHOLE) -> Recording:
    """Read the wanted section and channels of an EDF(+) or BDF(+) file, in the units of the file.

    The channels of a file may have different rates. If those that are wanted do, each is brought to the wanted rate.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged, the section or a channel is not in it, or the channels have different rates and
            no rate is wanted; the message names the file.
        ModuleNotFoundError: the signals extra is not installed.
    """
    with _opened(path, annotations=False) as file:
        return _read(file, path, wanted)


def read_edf_annotations(path: Path) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Read the annotations of an EDF+ or BDF+ file; return their times in seconds from the beginning, and their texts.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged, or is none with annotations; the message names the file.
        ModuleNotFoundError: the signals extra is not installed.
    """
    with _opened(path, annotations=True) as file:
        times, _, texts = file.readAnnotations()
    return np.asarray(times, np.float64), tuple(str(text).strip() for text in texts)


def _opened(path: Path, *, annotations: bool) -> Any:
    pyedflib = load_extra("pyedflib", "EDF and BDF files")
    with open(path, "rb"):  # so that a missing file is an error of the system
        pass
    try:
        which = pyedflib.READ_ALL_ANNOTATIONS if annotations else pyedflib.DO_NOT_READ_ANNOTATIONS
        return pyedflib.EdfReader(str(path), which)
    except OSError as error:  # also for damaged files
        raise ValueError(f"{path}: not a readable EDF or BDF file: {' '.join(str(error).split())}") from None


def _read(file: Any, path: Path, wanted: Wanted) -> Recording:
    names = distinct(file.getSignalLabels())
    columns = wanted.columns(names, str(path))
    chosen = tuple(names[column] for column in columns)
    try:
        rates = [float(file.getSampleFrequency(column)) for column in columns]
    except ZeroDivisionError:
        raise ValueError(f"{path}: expected data records longer than 0 s") from None
    if len(set(rates)) > 1 and wanted.rate is None:
        found = listed([f"{name} {rate:g}" for name, rate in zip(chosen, rates, strict=True)])
        raise ValueError(
            f"{path}: expected channels of one rate, got {found} samples a second; choose channels, or set the rate"
        )
    if not min(rates) > 0:
        raise ValueError(f"{path}: expected more than 0 samples a second, got {min(rates):g}")
    units = tuple(file.getPhysicalDimension(column).strip() or None for column in columns)
    parts = [_samples(file, path, column, rate, wanted) for column, rate in zip(columns, rates, strict=True)]
    if len(set(rates)) > 1 and wanted.rate is not None:
        parts = [resample(part[None], rate, wanted.rate)[0] for part, rate in zip(parts, rates, strict=True)]
        rates = [wanted.rate]
    length = min(map(len, parts))
    return Recording(np.stack([part[:length] for part in parts]), chosen, rates[0], units if any(units) else None)


def _samples(file: Any, path: Path, column: int, rate: float, wanted: Wanted) -> NDArray[np.float32]:
    part = wanted.section(int(file.getNSamples()[column]), rate, str(path))
    values = file.readSignal(column, part.start, part.stop - part.start)
    if len(values) < part.stop - part.start:
        raise ValueError(f"{path}: cut: expected {part.stop - part.start} samples, got {len(values)}")
    return values.astype(np.float32)
