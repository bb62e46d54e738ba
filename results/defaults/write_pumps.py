"""Write the weak pumps of `sets.py` as files: FOLDER/train with 14 pumps, FOLDER/new with 40 others.

python results/defaults/write_pumps.py FOLDER [SEED]
"""

import csv
import sys
from pathlib import Path

import numpy as np
from sets import pumps


def write(folder: Path, seed: int) -> None:
    for name, part in zip(("train", "new"), pumps(seed), strict=True):
        where = folder / name
        where.mkdir(parents=True)
        table = []
        for number, (signal, state) in enumerate(zip(part.x, part.y, strict=True)):
            time = np.arange(signal.shape[1]) / 50
            file = f"r{number:03}.csv"
            header = "time,vibration,pressure"
            np.savetxt(where / file, np.c_[time, signal.T], "%.4f", ",", header=header, comments="")
            table.append([file, ("normal", "bearing", "leak")[state], f"pump{number // 3:02}"])
        with (where / "labels.csv").open("w", newline="") as text:
            csv.writer(text).writerows([["file", "state", "pump"], *table])


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
