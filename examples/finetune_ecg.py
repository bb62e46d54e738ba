"""
Fine-tune a trained ECG model on labels of your own
===================================================

`results/ptbxl/model` has learned five diagnostic superclasses from 275 ECGs. This example starts from its weights to
learn a question of two classes from few records: is an ECG normal, or should somebody look at it? It trains the same
network from scratch beside it. On a few dozen test records chance moves the scores by more than the weights do; use the
whole of PTB-XL to see a difference that you can trust::

    multiresconv data ptbxl                                          # downloads PTB-XL to data/ptbxl
    python examples/finetune_ecg.py data/ptbxl

The folder may hold a part of the set: records that are not there are left out.
"""

# sphinx_gallery_thumbnail_path = "examples/pictures/finetune_ecg.png"
import argparse
import ast
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
codes = records.scp_codes.map(ast.literal_eval)  # of statements, with how sure the doctors were
table = pd.DataFrame(
    {
        "file": [str((options.ptbxl / name).with_suffix(".hea").resolve()) for name in records.filename_lr],
        "finding": codes.map(lambda found: "normal" if "NORM" in found else "look at it"),
        "patient": records.patient_id,
        "split": records.strat_fold.map({9: "train", 10: "test"}),
    }
)
table = table.loc[table.split.notna() & table.file.map(lambda name: Path(name).is_file())]
few = table.loc[table.split == "train"].index[:80]
table = table.loc[(table.split == "test") | table.index.isin(few)]
options.folder.mkdir(parents=True, exist_ok=True)
table.to_csv(options.folder / "labels.csv", index=False)
print(table.groupby(["split", "finding"]).size().unstack())

# %%
# Two runs
# --------
# A run that starts from a model needs the options of the network as they are in the model's `config.json`. The head is
# new, because the classes are. The run from scratch has the same options but the first.

network = [
    "--model.method",
    "network",
    "--model.kernel_size",
    "2",
    "--model.depth",
    "10",
    "--model.norm",
    "layer",
    "--model.dropout",
    "0.2",
]
starts = {"fine-tuned": ["--model.init", str(options.model), *network], "from scratch": network}
for name, start in starts.items():
    data = ["--data.table", str(options.folder / "labels.csv"), "--data.target", "finding", "--data.group", "patient"]
    data += ["--data.val_share", "0.3"]
    training = ["--optimizer.lr", "0.001", "--trainer.epochs", "1" if options.short else "20"]
    run = options.folder / name.replace(" ", "-")
    multiresconv("train", "classify", *data, *start, *training, "--run", str(run))

# %%
# The picture
# -----------

test = table[table.split == "test"]
signals = np.stack([read_recording(file).values.T for file in test.file])  # (n, time, leads) in mV
abnormal = test.finding == "look at it"
figure, axes = plt.subplots(figsize=(5, 5), layout="constrained")
for name in starts:
    model = load(options.folder / name.replace(" ", "-") / "model")
    with torch.inference_mode():
        probability = model(torch.from_numpy(signals)).softmax(-1)[:, model.output.names.index("look at it")]
    false, true, _ = roc_curve(abnormal, probability)
    axes.plot(false, true, label=f"{name}: AUROC {roc_auc_score(abnormal, probability):.3f}")
    print(f"{name}: AUROC {roc_auc_score(abnormal, probability):.3f} on {len(test)} test records")
axes.plot([0, 1], [0, 1], color="gray", linestyle=":", label="guessing")
axes.set(xlabel="false positive rate", ylabel="true positive rate")
axes.set(title=f"normal, or look at it? {len(test)} test records", aspect="equal")
axes.legend(loc="lower right")
figure.savefig(options.folder / "roc.png", dpi=100)
print(f"picture: {options.folder / 'roc.png'}")
