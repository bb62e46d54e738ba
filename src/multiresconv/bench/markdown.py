"""The speed table as Markdown."""

from collections.abc import Sequence
from typing import Any

Report = dict[str, Any]

# Measure -> title, explanation, units per second or per byte.
TITLES = {
    "train": (
        "Training step, ms",
        "Forward, backward to the parameters and to the input, AdamW (fused). Median, in brackets the quartiles.",
        1e3,
    ),
    "inference": ("Inference, ms", "Forward in eval mode under `inference_mode`. Median and quartiles.", 1e3),
    "step": (
        "One step of a stream, batch 1, us",
        "One Python call per step, after L steps; mean over 20 consecutive steps. Median and quartiles.",
        1e6,
    ),
    "step of 16": ("One step of 16 streams at once, us", "The same at batch 16.", 1e6),
    "memory": (
        "Peak memory of a training step, MiB",
        "Resident memory beyond the layer, AdamW's two moments, the input and the gradient of the output. Measured in "
        "a separate process, where tensors of more than 64 KiB return to the system as soon as they are freed. One run "
        "each, since it does not vary; Linux counts to about 1/4 MiB. Each parameter takes 12 bytes more, with its "
        "moments.",
        2**-20,
    ),
}

_LOSSES = (
    "Every other layer that takes less than `MultiresLayer`, or that mixes channels and takes less than "
    "`MultiresBlock`. In brackets: its value divided by ours."
)


def markdown(report: Report) -> str:
    """Format a report of `measure` as a page."""
    lines = [
        "# Sequence layers side by side",
        "",
        f"{report['machine']}; {', '.join(f'{name} {version}' for name, version in report['versions'].items())}.",
        f"{report['dtype']}, width D = {report['d_model']}, batch {report['batch_size']}, "
        f"threads: {report['threads']}. The layers take turns, with at most {report['repeats']} and at least 3 runs "
        f"per cell. Cells that would take longer than {report['limit']:g} s per run are left out. The best of a column "
        "is bold.",
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
        "All are layers (B, L, D) -> (B, L, D) with parameters. A layer that mixes channels does more work than one "
        "that filters each channel separately. Compare `MultiresLayer` with the FFT convolution and S4D, and "
        "`MultiresBlock` with the others. Multiply-adds are approximate, per step of the sequence, forward.",
        "",
        f"| layer | what it is | mixes channels | parameters at {' / '.join(spans)} | multiply-adds per step |",
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
    """Return the seconds or bytes of a measured cell."""
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
    """Format with three significant digits, or with all digits before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def losses(report: Report) -> list[str]:
    """List where another layer beats one of ours that does not do more work (see `_LOSSES`)."""
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
    """List the lengths where the other layer is better, with its value divided by ours."""
    texts = []
    for length in lengths:
        a, b = peer[str(length)], own[str(length)]
        if "missing" not in a and "missing" not in b and value(a) < value(b):
            texts.append(f"L = {length:,} ({value(a) / value(b):.2g}x)")
    return ", ".join(texts)
