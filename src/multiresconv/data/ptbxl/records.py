"""Read the records of PTB-XL at 100 Hz."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.wfdb import read_wfdb_stem

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
LENGTH = 1000  # samples per record
RATE = 100  # samples per second


def read_ptbxl_record(stem: Path) -> NDArray[np.float32]:
    """Return the signal (1000, 12) of a record in mV; raises the errors of `read_wfdb`, without the path."""
    signal, rate = read_wfdb_stem(stem, LEADS)
    if len(signal) != LENGTH or rate != RATE:
        raise ValueError(f"expected {LENGTH} samples at {RATE} Hz, got {len(signal)} at {rate:g} Hz")
    return signal
