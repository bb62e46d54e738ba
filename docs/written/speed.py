"""Write the tables of docs/which-model.md, from what the benchmarks wrote into benchmarks/results.

    python benchmarks/summary.py

Each stands between two comments that name its source.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "which-model.md"
END = "<!-- end of the table -->"

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


def features() -> str:
    """Return the table of classifiers from untrained features: means over the data sets, sums of seconds."""
    results = _read("features.json")["results"]
    lines = ["| classifier | data sets | mean accuracy | fit, s | predict, s |", "|---|---|---|---|---|"]
    for name, sets in results.items():
        accuracy = sum(of["accuracy"] for of in sets.values()) / len(sets)
        seconds = [f"{sum(of[part] for of in sets.values()):.2f}" for part in ("fit", "predict")]
        title = "`SequenceRidgeClassifier`" if name == "ours" else name
        lines.append(f"| {title} | {len(sets)} | {accuracy:.4f} | {' | '.join(seconds)} |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {"layers.json": layers, "features.json": features}


def with_tables(text: str) -> str:
    """Return the text of the page with the tables of today."""
    for source, table in TABLES.items():
        begin = f"<!-- written by benchmarks/summary.py from {source} -->"
        pattern = f"{re.escape(begin)}.*?{re.escape(END)}"
        text, count = re.subn(pattern, lambda _, b=begin, t=table: f"{b}\n\n{t()}\n\n{END}", text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"{PAGE.name}: expected one table between {begin!r} and {END!r}, found {count}")
    return text


def _cell(cell: dict[str, Any], unit: float) -> str:
    if "missing" in cell:
        return cell["missing"].partition(":")[0]
    number = (cell["bytes"] if "bytes" in cell else cell["median"]) * unit
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _read(name: str) -> dict[str, Any]:
    return json.loads((HERE / "results" / name).read_text(encoding="utf-8"))


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
