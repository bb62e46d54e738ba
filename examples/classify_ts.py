"""
Classify sequences of a .ts file
================================

The archives of the UCR and UEA keep their sets as `NAME_TRAIN.ts` and `NAME_TEST.ts`. `multiresconv train classify`
takes a folder with the two. This example trains a network on BasicMotions, in which a watch measured acceleration and
rotation of people who stand, walk, run or play badminton, and ridge regression on untrained features beside it. Both
read a stream, so the picture can show how good they are after each step::

    python examples/classify_ts.py

Any other folder goes in the place of `examples/data/BasicMotions`, with `--data FOLDER`, if its sequences have the same
length.
"""

# sphinx_gallery_thumbnail_path = "examples/pictures/classify_ts.png"
import argparse
import shlex
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from multiresconv import load
from multiresconv.cli import main
from multiresconv.data.readers.ts import read_ts
from multiresconv.estimators import SequenceRidgeClassifier

parser = argparse.ArgumentParser(description="Train on a set of the UCR and UEA archives.")
parser.add_argument("--data", type=Path, default=Path("examples/data/BasicMotions"), help="folder of the two .ts files")
parser.add_argument("--folder", type=Path, default=Path("runs/classify-ts"), help="folder to write")
parser.add_argument("--short", action="store_true", help="train for a moment only")
options = parser.parse_args()


def multiresconv(*arguments: str) -> None:
    """Run a command of the command line; stop if it fails."""
    print(f"$ multiresconv {shlex.join(arguments)}")
    if code := main(arguments):
        sys.exit(code)


# %%
# A network
# ---------
# The commands are those that you would type. The scores are of the rows of `NAME_TEST.ts`. The signals are cached in
# the folder of the example; without `--data.cache_folder` the cache would be beside the data.

run = options.folder / "run"
data = [
    "--data.table",
    str(options.data),
    "--data.cache_folder",
    str(options.folder),
]  # the default is beside the table
training = ["--model.method", "network", "--trainer.epochs", "2" if options.short else "60"]
multiresconv("train", "classify", *data, *training, "--run", str(run))
multiresconv("evaluate", str(run))

# %%
# Ridge regression on untrained features
# --------------------------------------
# It takes a second. For up to 300 sequences it is what `SequenceClassifier` does, and the command without
# `--model.method`.

train, test = (read_ts(next(options.data.glob(f"*_{split}.ts"))) for split in ("TRAIN", "TEST"))
x, y = np.stack(test.values), np.array(test.targets["target"])  # (n, channels, time) and (n,)
ridge = SequenceRidgeClassifier(random_state=0).fit(train.values, train.targets["target"])
print(f"accuracy of ridge regression on the test rows: {ridge.score(x, y):.1%}")

# %%
# How soon they know
# ------------------
# The model folder is all that is needed to predict. Its stream takes a chunk of all test rows at once and returns the
# prediction after each of its steps.

model = load(run / "model")
logits = model.stream(batch_size=len(x))(torch.from_numpy(x).mT)  # (n, time, classes)
network_right = np.array(model.output.names)[logits.argmax(-1).numpy()] == y[:, None]


def labels(sequence: np.ndarray) -> list[str]:
    """Return the answer of ridge regression after each step of a sequence (channels, time)."""
    stream = ridge.stream()
    return [stream(step).label for step in sequence.T]


ridge_right = np.array([labels(sequence) for sequence in x]) == y[:, None]

# %%
# The picture
# -----------

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
steps = np.arange(1, x.shape[2] + 1)
axes.plot(steps, network_right.mean(0), label="network")
axes.plot(steps, ridge_right.mean(0), label="ridge regression on untrained features")
axes.axhline(1 / len(ridge.classes_), color="gray", linestyle=":", label="guessing")
axes.set(xlabel="steps so far", ylabel="accuracy on test rows", ylim=(0, 1.05), title=options.data.name)
axes.legend(loc="lower right")
figure.savefig(options.folder / "accuracy.png", dpi=100)
print(f"picture: {options.folder / 'accuracy.png'}")
