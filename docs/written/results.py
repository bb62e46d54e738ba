"""Write the table of results into README.md and docs/results.md, from the files that `evaluate` wrote.

    python results/table.py

It stands there between the lines BEGIN and END.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- written by results/table.py -->", "<!-- end of the table -->"
PAGES = {"README.md": "results", "docs/results.md": "../results"}  # page -> the path from it to this folder
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
    """Return the table in Markdown; `path` leads from the page to this folder."""
    lines = ["| run | trained on | scored on | n | score | 95 % interval |", "|---|---|---|---|---|---|"]
    for run, title in TITLES.items():
        for file in sorted((HERE / run).glob("evaluation-*.json"), reverse=True):
            cells = [f"[{title}]({path}/{run}), {_network(run)}", _training(run), *_scores(_read(file))]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def with_table(page: str, text: str) -> str:
    """Return the text of a page with the table of today."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(PAGES[page])}\n{END}{after}"


def _network(run: str) -> str:
    model = _read(HERE / run / "model" / "config.json")
    sizes = model["arguments"]
    if model["class"] == "MultiresRidge":
        return f"{sizes['n_filters']} untrained filters"
    return f"{sizes['n_layers']} x {sizes['d_model']}"


def _training(run: str) -> str:
    rows = _read(HERE / run / "run.json")["data"]["train"]["rows"]
    epochs = {json.loads(line).get("epoch", 0) for line in (HERE / run / "metrics.jsonl").read_text().splitlines()}
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


def main() -> None:
    for page in PAGES:
        path = HERE.parent / page
        path.write_text(with_table(page, path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
