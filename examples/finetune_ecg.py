"""
Fine-tune a trained ECG model on labels of your own
===================================================

`results/ptbxl/model` has learned diagnostic superclasses from 275 ECGs. This example starts from its weights to learn a
question that it was never asked, from few records: is the patient 60 years old or older? It trains the same network
from scratch beside it.

    multiresconv data ptbxl                                          # downloads PTB-XL to data/ptbxl
    python examples/finetune_ecg.py data/ptbxl

The folder may hold a part of the set: records that are not there are left out.
"""

import argparse
import shlex
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from multiresconv import load
from multiresconv.cli import main
from multiresconv.data.readers.read_recording import read_recording

parser = argparse.ArgumentParser(description="Fine-tune the ECG model of results/ptbxl.")
parser.add_argument("ptbxl", type=Path, nargs="?", default=Path("data/ptbxl"), help="folder of PTB-XL")
parser.add_argument("--model", type=Path, default=Path("results/ptbxl/model"), help="model folder to start from")
parser.add_argument("--folder", type=Path, default=Path("runs/finetune-ecg"), help="folder to write")
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
# The model was trained on folds 1 to 8, so what it makes of these records is better than what it makes of others. The
# table therefore has up to 80 records of fold 9 to train, of which some are drawn to validate, and fold 10 to test.

records = pd.read_csv(options.ptbxl / "ptbxl_database.csv")
table = pd.DataFrame(
    {
        "file": [str((options.ptbxl / name).with_suffix(".hea").resolve()) for name in records.filename_lr],
        "age": np.where(records.age >= 60, "60 or older", "under 60"),
        "patient": records.patient_id,
        "split": records.strat_fold.map({9: "train", 10: "test"}),
    }
)
is_there = table.file.map(lambda name: Path(name).is_file())
table = table.loc[is_there & table.split.notna() & records.age.notna()]
few = table.loc[table.split == "train"].index[:80]
table = table.loc[(table.split == "test") | table.index.isin(few)]
options.folder.mkdir(parents=True, exist_ok=True)
table.to_csv(options.folder / "labels.csv", index=False)
print(table.groupby(["split", "age"]).size().unstack())

# %%
# Two runs
# --------
# A run that starts from a model needs the options of the network as they are in the model's `config.json`. The head is
# new, because the classes are. The run from scratch has the same options but the first.

network = ["--model.kernel_size", "2", "--model.depth", "10", "--model.norm", "layer", "--model.dropout", "0.2"]
starts = {"fine-tuned": ["--model.init", str(options.model), *network], "from scratch": network}
for name, start in starts.items():
    data = ["--data.table", str(options.folder / "labels.csv"), "--data.target", "age", "--data.group", "patient"]
    training = ["--optimizer.lr", "0.001", "--trainer.epochs", "1" if options.short else "20"]
    run = options.folder / name.replace(" ", "-")
    multiresconv("train", "classify", *data, *start, *training, "--run", str(run))

# %%
# The picture
# -----------

test = table[table.split == "test"]
signals = np.stack([read_recording(file).values.T for file in test.file])  # (n, time, leads) in mV
older = test.age == "60 or older"
figure, axes = plt.subplots(figsize=(5, 5), layout="constrained")
for name in starts:
    model = load(options.folder / name.replace(" ", "-") / "model")
    with torch.inference_mode():
        probability = model(torch.from_numpy(signals)).softmax(-1)[:, model.output.names.index("60 or older")]
    false, true, _ = roc_curve(older, probability)
    axes.plot(false, true, label=f"{name}: AUROC {roc_auc_score(older, probability):.3f}")
    print(f"{name}: AUROC {roc_auc_score(older, probability):.3f} on {len(test)} test records")
axes.plot([0, 1], [0, 1], color="gray", linestyle=":", label="guessing")
axes.set(xlabel="false positive rate", ylabel="true positive rate")
axes.set(title=f"60 or older? {len(test)} test records", aspect="equal")
axes.legend(loc="lower right")
figure.savefig(options.folder / "roc.png", dpi=100)
print(f"picture: {options.folder / 'roc.png'}")
