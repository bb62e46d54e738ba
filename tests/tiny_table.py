"""A folder of small recordings with a table of labels, in raw units, of two classes that are easy to tell apart."""

import csv
from pathlib import Path

import numpy as np

CHANNELS = ("pressure", "flow")
RATE = 20.0


def write_recordings(folder: Path, n: int = 24, *, missing: bool = False, seed: int = 0) -> Path:
    """Write n recordings and `labels.csv` with columns file, kind, tags, speed, both, patient; return the table."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(n):
        fast = number % 2
        time = np.arange(30 + 4 * (number % 5)) / RATE
        signal = np.stack([50 + 9 * np.sin((2 + 8 * fast) * time), random.normal(size=len(time))], axis=1)
        if missing:
            signal[random.random(signal.shape) < 0.1] = np.nan
        name = f"r{number:03}.csv"
        with open(folder / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["time", *CHANNELS])
            for t, values in zip(time, signal, strict=True):
                writer.writerow([f"{t:.2f}", *("" if np.isnan(v) else f"{v:.4f}" for v in values)])
        tags = ";".join(tag for tag, there in (("quick", fast), ("long", number % 5 > 2)) if there)
        speed = 2 + 8 * fast + 0.1 * random.normal()
        rows.append([name, ("slow", "fast")[fast], tags, f"{speed:.3f}", f"{-speed:.3f}", f"p{number // 2}"])
    table = folder / "labels.csv"
    with open(table, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", "kind", "tags", "speed", "back", "patient"], *rows])
    return table
