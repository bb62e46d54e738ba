"""Read a recording from a `.npy` file."""

from pathlib import Path

import numpy as np

from multiresconv.data.readers.npy import open_numbers
from multiresconv.data.readers.recording import WHOLE, Recording, Wanted, numbered


def read_npy(path: Path, wanted: Wanted = WHOLE) -> Recording:
    """Read the wanted section of an array (time, channels), as `multiresconv predict` takes it, or (time,).

    Channels have numbers; rate and units are not known.

    Raises:
        OSError: the file cannot be read.
        ValueError: not such an array, or the section or a channel is not in it; the message names the file.
    """
    file = open_numbers(path)
    if len(file.shape) not in (1, 2):
        raise ValueError(f"{path}: expected shape (time, channels) or (time,), got {file.shape}")
    names = numbered(1 if len(file.shape) == 1 else file.shape[1])
    columns = wanted.columns(names, str(path))
    values = file.section(wanted.section(file.shape[0], None, str(path)))
    with np.errstate(over="ignore"):  # what is too large is refused by `read_recording`
        values = np.ascontiguousarray(values.reshape(len(values), -1).T[columns].astype(np.float32))
    return Recording(values, tuple(names[column] for column in columns), None, None)
