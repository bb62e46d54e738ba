"""
Forecast a series
=================

PyWavelets ships the temperature of the sea surface in the eastern Pacific, four values a year from 1950 to 2015 (NOAA,
public domain; standardised). It has seasons, and every few years an El Niño. This example forecasts the next year from
each quarter and compares the forecasts with those of the seasonal naive method, which repeats the last year::

    python examples/forecast_temperature.py
"""

# sphinx_gallery_thumbnail_path = "examples/pictures/forecast_temperature.png"
import argparse
import shlex
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pywt
import torch

from multiresconv import load
from multiresconv.cli import main

parser = argparse.ArgumentParser(description="Forecast the temperature of the Pacific.")
parser.add_argument("--folder", type=Path, default=Path("runs/forecast-temperature"), help="folder to write")
parser.add_argument("--short", action="store_true", help="train for a moment only")
options = parser.parse_args()


def multiresconv(*arguments: str) -> None:
    """Run a command of the command line; stop if it fails."""
    print(f"$ multiresconv {shlex.join(arguments)}")
    if code := main(arguments):
        sys.exit(code)


# %%
# The data
# --------
# A table with one row names the file of the series. Several series would be several rows.

years, temperature = pywt.data.nino()
options.folder.mkdir(parents=True, exist_ok=True)
np.savetxt(options.folder / "pacific.csv", temperature, fmt="%.4f", header="temperature", comments="")
table = options.folder / "series.csv"
table.write_text("file\npacific.csv\n", encoding="utf-8")

# %%
# Train and evaluate
# ------------------
# The last 15 % of the series are the test. The scores are over all origins in it, also those of two naive forecasts.
# The network is small because 185 values are few.

run = options.folder / "run"
HORIZON = 4
forecast = ["--task.horizon", str(HORIZON), "--task.season", "4", "--task.hop", "1"]
network = ["--model.n_layers", "2", "--model.d_model", "16"]
epochs = ["--trainer.epochs", "2"] if options.short else []
multiresconv("train", "forecast", "--data.table", str(table), *forecast, *network, *epochs, "--run", str(run))
multiresconv("evaluate", str(run))

# %%
# The picture
# -----------
# The stream returns, after each value, the forecast of the four that follow. Those that begin with a year are drawn.

model = load(run / "model")
series = torch.tensor(temperature, dtype=torch.float32).reshape(1, -1, 1)
fans = model.stream()(series)[0, :, :, 0]  # (time, horizon, quantiles)

figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
axes.plot(years, temperature, color="black", linewidth=1)
for start in range(len(years) - 8 * HORIZON, len(years), HORIZON):
    year = slice(start, start + HORIZON)
    low, median, high = fans[start - 1].T  # after the last value before the year
    axes.fill_between(years[year], low, high, color="tab:blue", alpha=0.3, linewidth=0)
    axes.plot(years[year], median, ".-", color="tab:blue")
    axes.plot(years[year], temperature[start - HORIZON : start], ".:", color="tab:orange")
axes.set(xlim=(years[-48], years[-1] + 0.25), xlabel="year", ylabel="temperature (standardised)")
axes.set(title="Forecasts of a year, each made at its beginning")
axes.legend(["measured", "80 % interval", "median", "last year again"], loc="upper left")
figure.savefig(options.folder / "forecasts.png", dpi=100)
print(f"picture: {options.folder / 'forecasts.png'}")
