"""The speed table as Markdown."""

from collections.abc import Sequence
from typing import Any

Report = dict[str, Any]

# Measure -> title, what is said of it, units in a second or in a byte.
TITLES = {
    "train": (
        "Training step, ms",
        "Forward, backward to the parameters and to the input, AdamW (fused). Median, in brackets the quartiles.",
        1e3,
    ),
    "inference": ("Inference, ms", "Forward in eval mode under `inference_mode`. Median and quartiles.", 1e3),
    "step": (
        "One step of a stream, batch 1, us",
        "The next output from the next input after L steps, each a call of Python; "
        "of 20 steps one after the other. Median and quartiles.",
        1e6,
    ),
    "step of 16": ("One step of 16 streams at once, us", "The same at batch 16.", 1e6),
    "memory": (
        "Peak memory of a training step, MiB",
        "Beyond the layer, AdamW's two moments, the input and the gradient of the output; "
        "resident memory, in a process of its own, where tensors of more than 64 KiB go back to the system as soon as "
        "they are freed. Once each, since it does not vary; Linux counts to about 1/4 MiB. The parameters and their "
        "moments take 12 bytes times their number.",
        2**-20,
    ),
}

_LOSSES = (
    "Every peer that takes less than a row of this library which does not do more than it does: than `MultiresLayer`; "
    "than `MultiresBlock`, where the peer mixes channels, too. In brackets its share of ours."
)


def markdown(report: Report) -> str:
    """The whole page of a report of `measure`."""
    lines = [
        "# Sequence layers side by side",
        "",
        f"{report['machine']}; {', '.join(f'{name} {version}' for name, version in report['versions'].items())}.",
        f"{report['dtype']}, width D = {report['d_model']}, batch {report['batch_size']}, "
        f"threads: {report['threads']}. At most {report['repeats']} runs a cell, in turns, at least 3; "
        f"what would take longer than {report['limit']:g} s a run is left out. The best of a column is bold.",
        "",
        *_contents(report),
    ]
    for measure in TITLES:
        lines += ["", *_table(report, measure)]
    lines += ["", "## Where this library loses", "", _LOSSES, "", *losses(report)]
    return "\n".join(lines) + "\n"


def _contents(report: Report) -> list[str]:
    lengths, rows = [str(length) for length in report["lengths"]], report["contenders"].values()
    spans = [f"L = {int(lengths[0]):,}"] + ([f"L = {int(lengths[-1]):,}"] if len(lengths) > 1 else [])
    ends = [lengths[0], *lengths[1:][-1:]]
    lines = [
        "All are layers (B, L, D) -> (B, L, D) with their parameters. What mixes channels does more than what filters "
        "each channel by itself: the match of `MultiresLayer` are the FFT convolution and S4D, that of `MultiresBlock` "
        "the others. Multiply-adds are about those of one step of the sequence, forward.",
        "",
        f"| layer | what it is | mixes channels | parameters at {' / '.join(spans)} | multiply-adds a step |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        counts = (
            " / ".join(f"{row[key][n]:,}" if n in row[key] else "?" for n in ends)
            for key in ("parameters", "multiply_adds")
        )
        mixes = "yes" if row["mixes_channels"] else "no"
        lines.append(f"| {row['label']} | {row['contents']} | {mixes} | {' | '.join(counts)} |")
    return lines


def _table(report: Report, measure: str) -> list[str]:
    title, about, scale = TITLES[measure]
    lengths, cells = [str(length) for length in report["lengths"]], report["cells"][measure]
    notes: list[str] = []
    best = {n: min((value(of[n]) for of in cells.values() if "missing" not in of[n]), default=None) for n in lengths}
    lines = [
        f"## {title}",
        "",
        about,
        "",
        f"| layer | {' | '.join(f'L = {int(n):,}' for n in lengths)} |",
        "|---" * (1 + len(lengths)) + "|",
    ]
    for name, of in cells.items():
        texts = [_cell(of[n], scale, notes, best[n]) for n in lengths]
        lines.append(f"| {report['contenders'][name]['label']} | {' | '.join(texts)} |")
    if notes:
        lines.append("")
        lines += [f"[{number}] {note}  " for number, note in enumerate(notes, start=1)]
    return lines


def value(cell: dict[str, Any]) -> float:
    """Seconds, or bytes, of a cell that was measured."""
    return cell["bytes"] if "bytes" in cell else cell["median"]


def _cell(cell: dict[str, Any], scale: float, notes: list[str], best: float | None) -> str:
    if "missing" in cell:
        kind, _, reason = cell["missing"].partition(": ")
        if reason not in notes:
            notes.append(reason)
        return f"{kind} [{notes.index(reason) + 1}]"
    bold = "**" if value(cell) == best else ""
    middle = f"{bold}{_number(value(cell) * scale)}{bold}"
    return middle if "bytes" in cell else f"{middle} ({_number(cell['low'] * scale)}-{_number(cell['high'] * scale)})"


def _number(value: float) -> str:
    """Three digits, or all that are before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def losses(report: Report) -> list[str]:
    """Each peer that is better somewhere than a row of this library which does not do more than it does."""
    rows, lines = report["contenders"], []
    for measure, cells in report["cells"].items():
        for name, of in cells.items():
            if rows[name]["ours"]:
                continue
            for own in cells:
                if rows[own]["ours"] and rows[own]["mixes_channels"] <= rows[name]["mixes_channels"]:
                    lost = _lost(of, cells[own], report["lengths"])
                    if lost:
                        title = TITLES[measure][0].rpartition(",")[0]
                        lines.append(f"- {title}: {rows[name]['label']} before {rows[own]['label']}, {lost}.")
    return lines or ["Nowhere in this run."]


def _lost(peer: dict[str, Any], own: dict[str, Any], lengths: Sequence[int]) -> str:
    """The lengths where the peer is better, with the ratio of the two."""
    texts = []
    for length in lengths:
        a, b = peer[str(length)], own[str(length)]
        if "missing" not in a and "missing" not in b and value(a) < value(b):
            texts.append(f"L = {length:,} ({value(a) / value(b):.2g}x)")
    return ", ".join(texts)
