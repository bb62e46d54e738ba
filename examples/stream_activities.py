"""
Decide early, along a long recording
====================================

A classifier of this library reads a stream: it takes one sample after another and always has an answer. With a
threshold it decides as soon as it is certain enough. This example joins test recordings of BasicMotions, ten seconds
each, to one long recording of a watch, in which a person stands, walks, runs and plays badminton. A stream reads it
until it has decided; then a new stream begins, since a stream answers for all that it has read and forgets nothing,
unless it has a window::

    python examples/stream_activities.py
"""

# sphinx_gallery_thumbnail_path = "examples/pictures/stream_activities.png"
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from multiresconv.data.readers.ts import read_ts
from multiresconv.estimators import SequenceClassifier

parser = argparse.ArgumentParser(description="Classify a stream and decide early.")
parser.add_argument("--data", type=Path, default=Path("examples/data/BasicMotions"), help="folder of BasicMotions")
parser.add_argument("--folder", type=Path, default=Path("runs/stream-activities"), help="folder to write")
parser.add_argument("--short", action="store_true", help="join fewer recordings")
options = parser.parse_args()
options.folder.mkdir(parents=True, exist_ok=True)

# %%
# A classifier of beginnings
# --------------------------
# A classifier that has only seen ten seconds is sure of itself too early, because it does not know how a beginning
# looks. So it is fitted to the first two, four, six and eight seconds of each recording as well.

RATE = 10  # samples per second
train, test = (read_ts(options.data / f"BasicMotions_{split}.ts") for split in ("TRAIN", "TEST"))
lengths = range(2 * RATE, 10 * RATE + 1, 2 * RATE)
beginnings = [signal[:, :length] for length in lengths for signal in train.values]  # (channels, time)
classifier = SequenceClassifier(random_state=0).fit(beginnings, train.targets["target"] * len(lengths))

# %%
# The long recording
# ------------------

labels = np.array(test.targets["target"])
order = ["Standing", "Walking", "Running", "Badminton"] * (1 if options.short else 3)
chosen = [np.flatnonzero(labels == label)[order[:place].count(label)] for place, label in enumerate(order)]
recording = np.concatenate([test.values[row] for row in chosen], axis=1)  # (channels, time)

# %%
# The stream
# ----------
# It gets half a second at a time, and decides once the same activity had a probability of 0.9 twice in a row.

CHUNK = RATE // 2
ends = np.arange(CHUNK, recording.shape[1] + 1, CHUNK)  # of the chunks
probabilities, decisions = [], []
stream = classifier.stream(threshold=0.9, patience=2)
for end in ends:
    answer = stream(recording[:, end - CHUNK : end])
    probabilities.append(answer.probabilities)
    if answer.decided is not None:
        decisions.append((end, answer.decided))
        stream = classifier.stream(threshold=0.9, patience=2)
right = [decided == order[(end - 1) // (10 * RATE)] for end, decided in decisions]
waits = np.diff([0, *(end for end, _ in decisions)]) / RATE
print(f"{len(decisions)} decisions, {sum(right)} of them right, after {np.mean(waits):.1f} seconds on average")

# %%
# Or forget
# ---------
# A stream with a window needs no decision and no new beginning: it answers for the last seconds alone. A longer window
# changes its mind later, a shorter one has less to go by.

truth = np.array([order[(end - 1) // (10 * RATE)] for end in ends])
for window in (None, 10 * RATE, 6 * RATE, 4 * RATE, 2 * RATE):
    stream = classifier.stream(window=window)
    labels_found = np.array([stream(recording[:, end - CHUNK : end]).label for end in ends])
    name = "without a window" if window is None else f"with a window of {window // RATE} seconds"
    print(f"{name}, {np.mean(labels_found == truth):.1%} of the answers are right")

# %%
# The picture
# -----------
# The background is what the person does. A triangle marks a decision, in the colour of what was decided. A stream that
# began before the activity changed takes longer to decide, or decides for the one before.

figure, (above, below) = plt.subplots(2, 1, figsize=(11, 5), sharex=True, layout="constrained")
colours = dict(zip(classifier.classes_, ["tab:red", "tab:purple", "tab:green", "tab:blue"], strict=True))
seconds = np.arange(recording.shape[1]) / RATE
above.plot(seconds, recording[0], color="black", linewidth=0.7)
above.set(ylabel="acceleration, first axis")
for label, running in zip(classifier.classes_, np.transpose(probabilities), strict=True):
    below.plot(ends / RATE, running, color=colours[label], linewidth=1, label=label)
for place, label in enumerate(order):
    for axes in (above, below):
        axes.axvspan(10 * place, 10 * (place + 1), color=colours[label], alpha=0.15, linewidth=0)
for end, decided in decisions:
    below.plot(end / RATE, 1.06, marker="v", color=colours[decided], clip_on=False)
below.set(xlabel="seconds", ylabel="probability", ylim=(0, 1.1), xlim=(0, seconds[-1]))
below.legend(ncols=4, loc="lower right", fontsize="small")
figure.savefig(options.folder / "stream.png", dpi=75)
print(f"picture: {options.folder / 'stream.png'}")
