"""Write made-up recordings of pumps and a table of labels, to try training without data of your own.

    python examples/make_recordings.py FOLDER

Each recording is a CSV file with the columns time, vibration [g] and pressure [bar], four to eight seconds at 50 Hz. A
worn bearing adds short bursts to the vibration, a leak makes the pressure fall slowly; noise hides both in part. Three
recordings come from each pump, and `labels.csv` names the pump, so that no pump is in two splits.
"""

import csv
import sys
from pathlib import Path

import numpy as np

RATE, PUMPS, RECORDINGS = 50, 72, 3
STATES = ("normal", "bearing", "leak")


def write_recordings(folder: Path, seed: int = 0) -> Path:
    """Write the recordings and return the path of the table."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    table = []
    for pump in range(PUMPS):
        state, speed, level = STATES[pump % 3], random.uniform(4, 7), random.uniform(2.5, 3.5)
        for number in range(RECORDINGS):
            n = int(random.integers(4 * RATE, 8 * RATE))
            time = np.arange(n) / RATE
            vibration = np.sin(2 * np.pi * speed * time + random.uniform(0, 6)) + 0.5 * random.normal(size=n)
            pressure = level + 0.05 * np.sin(2 * np.pi * 0.4 * time) + 0.04 * random.normal(size=n)
            if state == "bearing":
                for start in np.arange(random.uniform(0, 0.9), n / RATE, 0.9):
                    vibration += 3.0 * np.exp(-30 * np.abs(time - start)) * np.sin(2 * np.pi * 17 * time)
            if state == "leak":
                pressure -= 0.04 * time
            name = f"pump{pump:02}-{number}.csv"
            with open(folder / name, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["time", "vibration [g]", "pressure [bar]"])
                writer.writerows(
                    [f"{t:.2f}", f"{v:.3f}", f"{p:.4f}"] for t, v, p in zip(time, vibration, pressure, strict=True)
                )
            table.append([name, state, f"pump{pump:02}"])
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", "state", "pump"], *table])
    return folder / "labels.csv"


if __name__ == "__main__":
    print(write_recordings(Path(sys.argv[1])))
