"""
Label ECGs from a table
=======================

PTB-XL is a public set of clinical ECGs of ten seconds (Wagner et al., PhysioNet, CC BY 4.0). Doctors gave each of them
any number of five diagnostic superclasses. This example reads it the way you would read recordings of your own: as
files and a table with a row per file::

    multiresconv data ptbxl                                          # downloads it to data/ptbxl
    python examples/label_ecg.py data/ptbxl

The folder may hold a part of the set: records that are not there are left out.
"""

# sphinx_gallery_thumbnail_path = "examples/pictures/label_ecg.png"
import argparse
import ast
import json
import shlex
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from multiresconv import load
from multiresconv.cli import main
from multiresconv.data.readers.read_recording import read_recording

parser = argparse.ArgumentParser(description="Train on PTB-XL as on recordings of your own.")
parser.add_argument("ptbxl", type=Path, nargs="?", default=Path("data/ptbxl"), help="folder of PTB-XL")
parser.add_argument("--folder", type=Path, default=Path("runs/label-ecg"), help="folder to write")
parser.add_argument("--short", action="store_true", help="train for a moment only")
options = parser.parse_args()


def multiresconv(*arguments: str) -> None:
    """Run a command of the command line; stop if it fails."""
    print(f"$ multiresconv {shlex.join(arguments)}")
    if code := main(arguments):
        sys.exit(code)


# %%
# The table
# ---------
# A record has codes of statements, and each diagnostic statement belongs to a superclass. The table gets the path of
# each record, its superclasses between semicolons, its patient, so that nobody is in two splits, and the split that
# the authors recommend: folds 1 to 8 to train, 9 to validate, 10 to test.

records = pd.read_csv(options.ptbxl / "ptbxl_database.csv")
statements = pd.read_csv(options.ptbxl / "scp_statements.csv", index_col=0)
superclass = statements.loc[statements.diagnostic == 1, "diagnostic_class"]


def superclasses(codes: str) -> str:
    """Return the superclasses of a record, between semicolons."""
    return ";".join(sorted({superclass[code] for code in ast.literal_eval(codes) if code in superclass}))


table = pd.DataFrame(
    {
        "file": [str((options.ptbxl / name).with_suffix(".hea").resolve()) for name in records.filename_lr],
        "superclasses": records.scp_codes.map(superclasses),
        "patient": records.patient_id,
        "split": records.strat_fold.map(lambda fold: {9: "val", 10: "test"}.get(fold, "train")),
    }
)
table = table[(table.superclasses != "") & table.file.map(lambda name: Path(name).is_file())]
options.folder.mkdir(parents=True, exist_ok=True)
table.to_csv(options.folder / "labels.csv", index=False)
print(table.superclasses.str.get_dummies(";").groupby(table.split).sum())
# %%
# Train and evaluate
# ------------------
# These are the commands that you would type. Ten epochs are enough for 300 records.

run = options.folder / "run"
data = ["--data.table", str(options.folder / "labels.csv"), "--data.target", "superclasses", "--data.group", "patient"]
training = ["--model.method", "network", "--trainer.epochs", "1" if options.short else "10"]
multiresconv("train", "label", *data, *training, "--run", str(run))
multiresconv("evaluate", str(run))

# %%
# The picture
# -----------
# On the left, how well each superclass is told apart on the test records. On the right, what the model says while it
# reads the test record with the most superclasses.

scores = json.loads((run / "evaluation-test.json").read_text(encoding="utf-8"))["per_class"]
test = table.loc[table.split == "test"].reset_index()
chosen = test.loc[test.superclasses.str.count(";").idxmax()]
recording = read_recording(chosen.file)  # (channels, time)
model = load(run / "model")
logits = model.stream()(torch.from_numpy(recording.values.T[None]))  # (1, time, labels), after each step

figure, axes = plt.subplot_mosaic([["auroc", "signal"], ["auroc", "running"]], figsize=(10, 4.5), layout="constrained")
names = [f"{score['name']} ({score['positives']})" for score in scores]
axes["auroc"].barh(names, [score["auroc"] or np.nan for score in scores], color="tab:blue")
axes["auroc"].axvline(0.5, color="gray", linestyle=":")
axes["auroc"].set(xlim=(0, 1), xlabel=f"AUROC (test records that have it, of {len(test)})")

seconds = np.arange(recording.values.shape[1]) / (model.input.rate or 1)
lead = recording.channels.index("II")
axes["signal"].plot(seconds, recording.values[lead], color="black", linewidth=0.8)
axes["signal"].set(ylabel="lead II [mV]", title=f"{Path(chosen.file).stem}: {chosen.superclasses.replace(';', ', ')}")
for name, running in zip(model.output.names, logits[0].sigmoid().T, strict=True):
    is_there = name in chosen.superclasses.split(";")
    axes["running"].plot(seconds, running, label=name, linestyle="-" if is_there else ":")
axes["running"].set(xlabel="seconds", ylabel="probability", ylim=(0, 1.25))
axes["running"].legend(ncols=5, fontsize="small")
figure.savefig(options.folder / "superclasses.png", dpi=100)
print(f"picture: {options.folder / 'superclasses.png'}")
