"""The table of results, from the files that `evaluate` wrote."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "results"
TITLES = {
    "smnist": "sequential MNIST",
    "smnist-3-epochs": "sequential MNIST",
    "psmnist": "permuted sequential MNIST",
    "scifar": "sequential CIFAR-10",
    "cifar-density": "CIFAR-10 density",
    "ptbxl": "PTB-XL superclasses",
    "listops-quick": "ListOps",
    "listops-demo": "short ListOps",
    "pumps": "synthetic pumps",
}


def table(path: str) -> str:
    """Return the table in Markdown; `path` leads from the page to the folder of results."""
    lines = ["| run | trained on | scored on | n | score | 95 % interval |", "|---|---|---|---|---|---|"]
    for run, title in TITLES.items():
        for file in sorted((RESULTS / run).glob("evaluation-*.json"), reverse=True):
            cells = [f"[{title}]({path}/{run}), {_network(run)}", _training(run), *_scores(_read(file))]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _network(run: str) -> str:
    model = _read(RESULTS / run / "model" / "config.json")
    sizes = model["arguments"]
    if model["class"] == "MultiresRidge":
        return f"{sizes['n_filters']} untrained filters"
    return f"{sizes['n_layers']} x {sizes['d_model']}"


def _training(run: str) -> str:
    rows = _read(RESULTS / run / "run.json")["data"]["train"]["rows"]
    epochs = {json.loads(line).get("epoch", 0) for line in (RESULTS / run / "metrics.jsonl").read_text().splitlines()}
    return f"{rows:,} rows" + (f", {max(epochs)} epochs" if max(epochs) else "")


def _scores(evaluation: dict[str, Any]) -> list[str]:
    """Return what was scored, its number of rows, the score and its interval."""
    where = f"`{Path(evaluation['file']).name}`" if "file" in evaluation else f"{evaluation['data']} rows"
    if "majority_rate" in evaluation:
        where += f" (majority {100 * evaluation['majority_rate']:.2f} %)"
    if "accuracy" in evaluation:
        score, least, most = (f"{100 * value:.2f}" for value in _interval(evaluation, "accuracy"))
        score += " %"
    elif "macro_auroc" in evaluation:
        score, least, most = (f"{value:.3f}" for value in _interval(evaluation, "macro_auroc"))
        score = f"AUROC {score}"
    else:
        score, least, most = (f"{value:.3f}" for value in _interval(evaluation, "bits_per_dim"))
        score += " bits/dim"
    return [where, f"{evaluation['n']:,}", score, f"{least} to {most}"]


def _interval(evaluation: dict[str, Any], name: str) -> tuple[float, float, float]:
    return evaluation[name], *evaluation[f"{name}_95"]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
