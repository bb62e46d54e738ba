"""Train networks on small sets with variants of the defaults; write the accuracy on rows kept aside.

    python results/defaults/compare.py OUT.jsonl VARIANT... [--seeds 1] [--steps 300] [--sets motif order]

A variant is "default", "ridge" (on untrained features), or options such as "pooling=max,lr=0.01". The loop is that of
`multiresconv train`, without validation: the last weights are scored, after a cosine decay.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sets import SETS, Part
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from multiresconv.estimators import SequenceRidgeClassifier
from multiresconv.estimators.network import outputs_of
from multiresconv.models import MultiresClassifier
from multiresconv.training.schedule import learning_rate

MODEL = {"d_model": 64, "n_layers": 4, "kernel_size": 4, "dropout": 0.1, "norm": "batch", "pooling": "mean"}
TRAINING = {"lr": 3e-3, "weight_decay": 0.03, "batch": 0, "shift": 0.0}


def options(variant: str) -> dict[str, Any]:
    """Fill in the defaults of a variant such as "norm=layer,lr=0.01"."""
    pairs = [pair.split("=") for pair in variant.split(",") if pair != "default"]
    known: dict[str, Any] = {**MODEL, **TRAINING}
    return {**known, **{name: type(known[name])(value) for name, value in pairs}}


def score(variant: str, name: str, seed: int, steps: int) -> dict[str, Any]:
    """Train on the first part of a set; return accuracies, and mean losses, of its parts."""
    train, test = SETS[name](seed)
    if variant == "ridge":
        return {"test": float(SequenceRidgeClassifier(random_state=seed).fit(train.x, train.y).score(test.x, test.y))}
    o = options(variant)
    torch.manual_seed(seed)
    x, lengths = padded(train)
    n, y, whole = len(x), torch.from_numpy(train.y), torch.from_numpy(np.concatenate(train.x, 1))
    mean, std = whole.mean(1), whole.std(1)
    std = std.where(std > 0, 1)  # pixels at the margin
    arguments = {key: o[key] for key in MODEL}
    model = MultiresClassifier(int(y.max()) + 1, d_input=x.shape[2], max_length=x.shape[1], **arguments)
    assert model.net.standardise is not None
    model.net.standardise.set(mean, std)
    size = min(o["batch"] or min(32, max(4, n // 12)), n)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=o["weight_decay"], fused=True)
    order, losses = torch.tensor([], dtype=torch.int64), []
    for step in range(steps):
        if len(order) < size:
            order = torch.randperm(n)
        rows, order = order[:size], order[size:]
        batch = x[rows] + o["shift"] * std * torch.randn(size, 1, x.shape[2])  # another level of each channel
        loss = cross_entropy(model(batch, lengths[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, peak=o["lr"], warmup_steps=n / size, total_steps=steps)
        optimizer.step()
        losses.append(float(loss.detach()))
    accuracy, test_loss = measures(model, test)
    found = {"test": accuracy, "test_loss": test_loss, "train": measures(model, train)[0]}
    return {**found, "train_loss": float(np.mean(losses[-20:]))}


def padded(part: Part) -> tuple[Tensor, Tensor]:
    """Return sequences (n, L, channels) padded with 0, and their lengths (n,)."""
    lengths = torch.tensor([x.shape[1] for x in part.x])
    x = torch.zeros(len(part.x), int(lengths.max()), len(part.x[0]))
    for row, values in zip(x, part.x, strict=True):
        row[: values.shape[1]] = torch.from_numpy(values.T.copy())
    return x, lengths


def measures(model: MultiresClassifier, part: Part) -> tuple[float, float]:
    """Return accuracy and mean loss in eval mode."""
    logits, y = torch.from_numpy(outputs_of(model.eval(), part.x)), torch.from_numpy(part.y)
    return float((logits.argmax(1) == y).double().mean()), float(cross_entropy(logits, y))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    a = parser.parse_args()
    torch.set_num_threads(1)
    for variant in a.variants:
        for name in a.sets:
            for seed in range(a.seeds):
                began = time.process_time()
                line = {"variant": variant, "set": name, "seed": seed, "steps": a.steps}
                line |= score(variant, name, seed, a.steps)
                with a.out.open("a") as file:
                    file.write(json.dumps({**line, "seconds": round(time.process_time() - began, 1)}) + "\n")


if __name__ == "__main__":
    main()
