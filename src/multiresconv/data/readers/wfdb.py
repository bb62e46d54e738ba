"""Read records in WFDB format: a header (`.hea`) and the samples that it describes (`.dat`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "v": 1e3}


def read_wfdb(path: str | Path, leads: Sequence[str]) -> tuple[NDArray[np.float32], float]:
    """Read a record; return its signal (L, leads) in mV and its sampling rate in Hz.

    Args:
        path: path of the record, with or without its suffix `.hea` or `.dat`.
        leads: names of its channels, in upper case, in the order of the returned columns.

    Raises:
        FileNotFoundError: the header or the samples are missing.
        ValueError: the record is damaged, a checksum is wrong, a sample has no value, or the leads differ.
        ModuleNotFoundError: the ECG extra is not installed.
    """
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".hea", ".dat") else path
    header = stem.with_name(f"{stem.name}.hea")
    if not header.is_file():
        raise FileNotFoundError(f"{header}: no such file; expected the header of a WFDB record")
    try:
        return read_wfdb_stem(stem, leads)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{header}: its samples are missing: {error.filename}") from None
    except ValueError as error:
        raise ValueError(f"{header}: {error}") from None


def read_wfdb_stem(stem: Path, leads: Sequence[str]) -> tuple[NDArray[np.float32], float]:
    """Do the same as `read_wfdb` for a path without suffix; a ValueError does not name the path."""
    try:
        import wfdb  # not at the top: slow to import, and part of an extra
    except ModuleNotFoundError:
        raise ModuleNotFoundError('ECG records need wfdb: pip install "multiresconv[ecg]"') from None
    try:
        record: Any = wfdb.rdrecord(str(stem), physical=False)
    except OSError:
        raise
    except Exception as error:  # any type: a damaged header makes wfdb fail in many ways
        raise ValueError(f"not readable ({type(error).__name__}: {error})") from None
    places = _columns(record, leads)
    _check_sums(record)
    signal = record.dac()[:, places]  # invalid samples become NaN
    without_value = np.count_nonzero(~np.isfinite(signal), axis=0)
    if without_value.any():
        lead = int(without_value.argmax())
        raise ValueError(f"lead {leads[lead]} has {without_value[lead]} samples without a value (NaN)")
    return (signal * [_scale(record, place) for place in places]).astype(np.float32), float(record.fs)


def _columns(record: Any, leads: Sequence[str]) -> list[int]:
    """Return the column of each lead in the record; some records have another order, or write aVR for AVR."""
    names = [(name or "").upper() for name in record.sig_name or ()]
    if sorted(names) != sorted(leads):
        raise ValueError(f"expected the leads {', '.join(leads)}, got {', '.join(names) or 'none'}")
    return [names.index(lead) for lead in leads]


def _check_sums(record: Any) -> None:
    """Compare the sum of each lead's samples, modulo 2^16, with the checksum in the header."""
    if record.d_signal is None or not len(record.d_signal):
        raise ValueError("expected samples, got none")
    for name, said, seen in zip(record.sig_name, record.checksum, record.d_signal.sum(0) % 65536, strict=True):
        if said % 65536 != seen:
            raise ValueError(f"lead {name} has checksum {seen}, but the header says {said}")


def _scale(record: Any, place: int) -> float:
    """Return the number of millivolts in one unit of a lead."""
    unit = record.units[place]
    if unit.lower() not in _MILLIVOLTS:
        raise ValueError(f"lead {record.sig_name[place]}: expected the unit mV, uV or V, got {unit}")
    return _MILLIVOLTS[unit.lower()]
