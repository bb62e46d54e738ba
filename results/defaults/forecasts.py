"""Train a forecaster on monthly series of packages and print its errors beside those of naive forecasts.

    python results/defaults/forecasts.py [NAME...] [--options --model.d_model 32 ...]

Without names all of `SERIES`. Each is trained and evaluated by the command line, with the default options.
"""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pywt
from numpy.typing import NDArray

from multiresconv.cli import main

DATASETS = Path("packages/statsmodels/datasets")  # pip install --no-deps --target packages statsmodels==0.15.0


def elnino() -> NDArray[np.float64]:
    """Sea surface temperature, monthly from 1950."""
    return np.loadtxt(DATASETS / "elnino/elnino.csv", delimiter=",", skiprows=1)[:, 1:].ravel()


def co2() -> NDArray[np.float64]:
    """Carbon dioxide in the air, means of four weeks from 1958; NaN where nothing was measured."""
    weekly = np.genfromtxt(DATASETS / "co2/co2.csv", delimiter=",", skip_header=1)[:, 1]
    weeks = weekly[: len(weekly) // 4 * 4].reshape(-1, 4)
    there = np.isfinite(weeks).sum(1)
    return np.where(there > 0, np.nansum(weeks, 1) / np.maximum(there, 1), np.nan)


def sunspots() -> NDArray[np.float64]:
    """Sunspots, yearly from 1700."""
    return np.loadtxt(DATASETS / "sunspots/sunspots.csv", delimiter=",", skiprows=1)[:, 1]


def nino() -> NDArray[np.float64]:
    """Anomalies of sea surface temperature, quarterly from 1871."""
    return pywt.data.nino()[1]


SERIES = {  # with horizon and season
    "elnino": (elnino, 12, 12),
    "co2": (co2, 13, 13),
    "sunspots": (sunspots, 11, 11),
    "nino": (nino, 4, 1),
}


def backtest(name: str, options: list[str]) -> str:
    """Train and evaluate on one series; return a row of the table."""
    values, horizon, season = SERIES[name][0](), *SERIES[name][1:]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        np.savetxt(folder / "series.csv", values, header=name, comments="", fmt="%.4f")
        (folder / "table.csv").write_text("file\nseries.csv\n")
        run, where = ["--run", str(folder / "run")], ["--data.table", str(folder / "table.csv")]
        task = ["--task.horizon", str(horizon), "--task.season", str(season), "--task.hop", "1"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert main(["train", "forecast", *where, *run, *task, "--time_limit", "00:03:00", *options]) == 0
            assert main(["evaluate", str(folder / "run")]) == 0
        report = json.loads((folder / "run/evaluation-test.json").read_text())
        lines = (folder / "run/metrics.jsonl").read_text().splitlines()
    best = max((json.loads(line) for line in lines if '"val"' in line), key=lambda line: line["best"] * line["epoch"])
    (row,) = report["per_channel"]
    mase = [row[model]["mase"] for model in ("model", "seasonal_naive", "drift")]
    cells = [name, str(len(values)), str(season), *(f"{value:.3f}" for value in mase)]
    return " | ".join([*cells, f"{row['model']['coverage']:.0%}", f"{best['epoch']}, {best['seconds']:.0f} s"])


if __name__ == "__main__":
    given = sys.argv[1:]
    names = given[: given.index("--options")] if "--options" in given else given
    for name in names or SERIES:
        print("|", backtest(name, given[len(names) + 1 :]), "|", flush=True)
