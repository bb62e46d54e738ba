"""The tables of speed and memory that docs/which-model.md shows, from what the benchmarks wrote."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"

# Of layers.json: those that mix channels, then those that do not
LAYERS = ("block", "gru", "lstm", "attention", "tcn", "cpu", "s4d", "fft")
# Column -> measure, length, units per second or byte
COLUMNS = {
    "training step at 1,024, ms": ("train", 1024, 1e3),
    "training step at 8,192, ms": ("train", 8192, 1e3),
    "inference at 65,536, ms": ("inference", 65536, 1e3),
    "step of a stream after 65,536, µs": ("step", 65536, 1e6),
    "memory of a training step at 8,192, MiB": ("memory", 8192, 2**-20),
}


def layers() -> str:
    """Return the table of layers; medians, or the bytes of memory."""
    report = _read("layers.json")
    lines = [f"| layer | mixes channels | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name in LAYERS:
        layer = report["contenders"][name]
        cells = [_cell(report["cells"][measure][name][str(n)], unit) for measure, n, unit in COLUMNS.values()]
        lines.append(f"| {layer['label']} | {'yes' if layer['mixes_channels'] else 'no'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def features(name: str) -> str:
    """Return the table of classifiers of bench_features.py: means over the data sets, sums of seconds."""
    results = _read(f"{name}.json")["results"]
    lines = ["| classifier | data sets | mean accuracy | fit, s | predict, s |", "|---|---|---|---|---|"]
    for classifier, sets in results.items():
        accuracy = sum(of["accuracy"] for of in sets.values()) / len(sets)
        seconds = [f"{sum(of[part] for of in sets.values()):.2f}" for part in ("fit", "predict")]
        title = "`SequenceRidgeClassifier`" if classifier == "ours" else classifier
        lines.append(f"| {title} | {len(sets)} | {accuracy:.4f} | {' | '.join(seconds)} |")
    return "\n".join(lines)


def _cell(cell: dict[str, Any], unit: float) -> str:
    if "missing" in cell:
        return cell["missing"].partition(":")[0]
    number = (cell["bytes"] if "bytes" in cell else cell["median"]) * unit
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))
