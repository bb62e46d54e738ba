"""
Tell spoken digits apart
========================

WAV files go in as they are. This example lets the speech synthesiser eSpeak NG say the digits zero to nine in 13 voices
and five accents, each time at a speed and pitch drawn at random. It trains a network and ridge regression on some
voices, tests them on others, and draws what spoke for the answer in one of the test recordings.

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

import numpy as np

from multiresconv.cli import main
from multiresconv.data.readers.read_recording import read_recording
from multiresconv.estimators import SequenceRidgeClassifier

parser = argparse.ArgumentParser(description="Train on spoken digits, made by eSpeak NG.")
parser.add_argument("--folder", type=Path, default=Path("runs/spoken-digits"), help="folder to write")
parser.add_argument("--short", action="store_true", help="make few recordings and train for a moment")
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
# No voice is in two splits. At 4,000 samples a second a digit has about 3,000 steps. That cuts off most of the hiss of
# "six" and "seven", but the training takes half the time of 8,000.

run = options.folder / "run"
data = ["--data.table", str(table), "--data.target", "digit", "--data.group", "voice", "--data.rate", "4000"]
training = ["--model.method", "network", "--trainer.batch_size", "8", "--trainer.epochs", "1" if options.short else "8"]
multiresconv("train", "classify", *data, *training, "--run", str(run))
multiresconv("evaluate", str(run))

# %%
# Ridge regression on untrained features
# --------------------------------------
# It learns from the same recordings as the network, and those that the network validated on.

splits = json.loads((run / "run.json").read_text(encoding="utf-8"))["decided"]["splits"]
digit_of = {name: digit for name, digit, _ in rows}


def signals(names: list[str]) -> list[np.ndarray]:
    """Read recordings as arrays (channels, time)."""
    return [read_recording(options.folder / name, rate=4000).values for name in names]


known, unheard = splits["train"] + splits["val"], splits["test"]
ridge = SequenceRidgeClassifier(random_state=0).fit(signals(known), [digit_of[name] for name in known])
accuracy = ridge.score(signals(unheard), [digit_of[name] for name in unheard])
print(f"accuracy of ridge regression on {len(unheard)} recordings of voices that it has not heard: {accuracy:.1%}")

# %%
# The picture
# -----------
# `explain` draws the wave of a test recording, what spoke for the answer of the network at each time, and the scales
# that it lived on.

picture = options.folder / "explanation.png"
multiresconv("explain", str(run), str(options.folder / unheard[-1]), "--out", str(picture))
print(f"picture: {picture}")
