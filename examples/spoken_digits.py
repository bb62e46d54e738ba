"""
Tell spoken digits apart
========================

WAV files go in as they are. This example lets the speech synthesiser eSpeak NG say the digits zero to nine in 13 voices
and five accents, each time at a speed and pitch drawn at random. It trains on some voices, tests on others, and draws
what spoke for the answer in one of the test recordings::

    sudo apt install espeak-ng
    python examples/spoken_digits.py
"""

import argparse
import csv
import json
import random
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from multiresconv.cli import main

parser = argparse.ArgumentParser(description="Train on spoken digits, made by eSpeak NG.")
parser.add_argument("--folder", type=Path, default=Path("runs/spoken-digits"), help="folder to write")
parser.add_argument("--short", action="store_true", help="make few recordings")
options = parser.parse_args()
if shutil.which("espeak-ng") is None:
    sys.exit("espeak-ng: not found; install it, on Debian and Ubuntu with: sudo apt install espeak-ng")


def multiresconv(*arguments: str) -> None:
    """Run a command of the command line; stop if it fails."""
    print(f"$ multiresconv {shlex.join(arguments)}")
    if code := main(arguments):
        sys.exit(code)


# %%
# The recordings
# --------------
# `labels.csv` names the file, the digit and the voice.

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ACCENTS = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029"]
VOICES = [*(f"f{number}" for number in range(1, 6)), *(f"m{number}" for number in range(1, 9))]
if options.short:
    DIGITS, ACCENTS, VOICES = DIGITS[:2], ACCENTS[:1], VOICES[::2]

options.folder.mkdir(parents=True, exist_ok=True)
draw = random.Random(0)
rows = []
for voice in VOICES:
    for accent in ACCENTS:
        for digit in DIGITS:
            name = f"{digit}-{accent}-{voice}.wav"
            speed, pitch = draw.randint(120, 200), draw.randint(30, 70)
            command = ["espeak-ng", "-v", f"{accent}+{voice}", "-s", str(speed), "-p", str(pitch)]
            subprocess.run([*command, "-w", str(options.folder / name), digit], check=True)
            rows.append([name, digit, voice])
table = options.folder / "labels.csv"
with open(table, "w", newline="", encoding="utf-8") as file:
    csv.writer(file).writerows([["file", "digit", "voice"], *rows])

# %%
# Train and evaluate
# ------------------
# No voice is in two splits. At 8,000 samples a second a digit has about 6,000 steps. Ridge regression on untrained
# features is fitted first. It is right on every validation row, so no network is trained.

run = options.folder / "run"
data = ["--data.table", str(table), "--data.target", "digit", "--data.group", "voice", "--data.rate", "8000"]
multiresconv("train", "classify", *data, "--run", str(run))
multiresconv("evaluate", str(run))

# %%
# The picture
# -----------
# `explain` draws the wave of a test recording, what spoke for the answer at each time, and the scales that it lived on.

unheard = json.loads((run / "run.json").read_text(encoding="utf-8"))["decided"]["splits"]["test"]
picture = options.folder / "explanation.png"
multiresconv("explain", str(run), str(options.folder / unheard[-1]), "--out", str(picture))
print(f"picture: {picture}")
