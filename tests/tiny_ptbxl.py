"""A folder of PTB-XL with a few made-up records, and what may be wrong with one."""

import csv
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray
from paths import TESTS

from multiresconv.data.ptbxl import LEADS

STATEMENTS = TESTS / "fixtures" / "ptbxl" / "scp_statements.csv"
COLUMNS = ("ecg_id", "report", "scp_codes", "strat_fold", "filename_lr")
CODES = (
    "{'NORM': 100.0, 'SR': 0.0}",
    "{'IMI': 35.0, 'ABQRS': 0.0, 'SR': 0.0}",
    "{'AFIB': 0.0}",
    "{'LVH': 0, 'NDT': 80}",
)


def make_ptbxl(folder: Path, n: int = 20) -> Path:
    """Records 1 to n: folds 1 to 10 in turn, `CODES` in turn."""
    rows = [[i, f"ein, zwei\n{i}", CODES[i % 4], (i - 1) % 10 + 1, name_of(i)] for i in range(1, n + 1)]
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(STATEMENTS, folder / "scp_statements.csv")
    write_database(folder, rows)
    for i in range(1, n + 1):
        write_record(folder / name_of(i), samples_of(i))
    return folder


def name_of(ecg_id: int) -> str:
    return f"records100/00000/{ecg_id:05}_lr"


def samples_of(ecg_id: int, length: int = 1000) -> NDArray[np.int16]:
    """(length, 12) in microvolts."""
    return np.random.default_rng(ecg_id).integers(-2000, 2000, (length, 12), dtype=np.int16)


def write_database(folder: Path, rows: Sequence[Sequence[object]], columns: Sequence[str] = COLUMNS) -> None:
    with open(folder / "ptbxl_database.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def write_record(
    path: Path,
    samples: NDArray[np.int16],
    *,
    rate: float = 100,
    leads: Sequence[str] = LEADS,
    unit: str = "mV",
    gain: float = 1000.0,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    n = len(leads)
    wfdb.wrsamp(
        path.name,
        fs=rate,
        units=[unit] * n,
        sig_name=list(leads),
        d_signal=samples.astype(np.int64),
        fmt=["16"] * n,
        adc_gain=[gain] * n,
        baseline=[0] * n,
        write_dir=str(path.parent),
    )


def header_of(record: Path) -> Path:
    return record.with_name(f"{record.name}.hea")


def samples_file_of(record: Path) -> Path:
    return record.with_name(f"{record.name}.dat")


def in_header(old: str, new: str) -> Callable[[Path], object]:
    def damage(record: Path) -> None:
        text = header_of(record).read_text()
        assert old in text
        header_of(record).write_text(text.replace(old, new))

    return damage


def flip_a_bit(record: Path) -> None:
    data = bytearray(samples_file_of(record).read_bytes())
    data[5000] ^= 1
    samples_file_of(record).write_bytes(data)


def wrong_checksum(record: Path) -> None:
    first, *lines = header_of(record).read_text().splitlines()
    fields = lines[2].split()
    fields[6] = str((int(fields[6]) + 1) % 65536)
    lines[2] = " ".join(fields)
    header_of(record).write_text("\n".join([first, *lines]) + "\n")


def without_a_value(record: Path) -> None:
    samples = samples_of(1)
    samples[7, 4] = -32768  # says so in format 16
    write_record(record, samples)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped bit": (flip_a_bit, "checksum"),
    "wrong checksum": (wrong_checksum, r"lead III has checksum \d+, but the header says \d+"),
    "NaN": (without_a_value, r"lead AVL has 1 samples without a value \(NaN\)"),
    "cut samples": (lambda record: os.truncate(samples_file_of(record), 20_000), "not readable"),
    "no samples": (lambda record: os.truncate(samples_file_of(record), 0), "not readable"),
    "empty header": (lambda record: os.truncate(header_of(record), 0), "not readable"),
    "garbage header": (lambda record: header_of(record).write_bytes(bytes(range(256))), "not readable"),
    "unknown format": (in_header(".dat 16 ", ".dat 17 "), "not readable"),
    "endless": (in_header(" 12 100 1000", " 12 100 100000000000"), "not readable"),
    "samples elsewhere": (in_header("00001_lr.dat", "../00000/00002_lr.dat"), "not readable"),
    "a lead of another name": (in_header(" V6", " V7"), "expected the leads I, II, .* V7"),
    "a lead twice": (in_header(" V6", " V5"), "expected the leads I, II, .* V5, V5"),
    "another unit": (in_header("/mV", "/mmHg"), "lead I: expected the unit mV or .*, got 'mmHg'"),
}
