"""The measurements of `bench_scale.py` as Markdown and as a picture."""

from typing import Any

from matplotlib.figure import Figure
from scaling_law import MEMORY, OPERATOR, Law, Size

from multiresconv.ops import default_depth

# How much longer than the longest measured sequence the extrapolation is.
_TIMES = 1000


def markdown(report: dict[str, Any]) -> str:
    return (
        "\n".join(
            [
                f"Training steps in float32, forward and backward; {report['machine']}. Medians of {report['repeats']} "
                "runs. B: batch, L: length, D: width, J: scales, K: taps, N: blocks. Errors are those of the laws, "
                "relative to what was measured.",
                *(["", "**A trial of tiny sizes (`--quick`): the numbers mean nothing.**"] if report["quick"] else []),
                *_times(report["operator"], "The operator"),
                *_times(report["network"], "A network of fused blocks"),
                *_memory(report["memory"]),
                *_split(report["split"]),
                *_extrapolation(report),
            ]
        )
        + "\n"
    )


def _coefficients(fit: dict[str, Any], unit: str, scale: float) -> str:
    found = ", ".join(f"{name} = {scale * value:.3g}" for name, value in fit["coefficients"].items())
    errors = [abs(point["error"]) for point in fit["points"]]
    return (
        f"{found} {unit}; errors up to {100 * max(errors):.0f} %, {100 * sum(errors) / len(errors):.0f} % on average."
    )


def _times(by_threads: dict[str, Any], title: str) -> list[str]:
    first = next(iter(by_threads.values()))
    lines = ["", f"## {title}", "", f"Seconds = {first['law']}", ""]
    lines += [f"- {threads} thread(s): {_coefficients(fit, 'ns', 1e9)}" for threads, fit in by_threads.items()]
    names = " | ".join(f"ms, {threads} thread(s) | law | error" for threads in by_threads)
    lines += ["", f"| N | B | L | D | J | K | {names} |", "|---" * (6 + 3 * len(by_threads)) + "|"]
    for cells in zip(*(fit["points"] for fit in by_threads.values()), strict=True):
        of = cells[0]
        size = (
            f"{of['blocks']} | {of['batch']} | {of['length']:,} | {of['width']} | {of['depth']} | {of['kernel_size']}"
        )
        times = (f"{1e3 * c['measured']:.3g} | {1e3 * c['law']:.3g} | {100 * c['error']:+.0f} %" for c in cells)
        lines.append(f"| {size} | {' | '.join(times)} |")
    return lines


def _memory(fit: dict[str, Any]) -> list[str]:
    first = fit["points"][0]
    lines = ["", f"## Memory of a step of the network, {first['blocks']} blocks, D {first['width']}", ""]
    lines += [
        f"Bytes = {fit['law']}: {_coefficients(fit, 'bytes', 1)}",
        "",
        "| L | MiB | law | error |",
        "|---|---|---|---|",
    ]
    for point in fit["points"]:
        values = f"{point['measured'] / 2**20:.3g} | {point['law'] / 2**20:.3g} | {100 * point['error']:+.0f} %"
        lines.append(f"| {point['length']:,} | {values} |")
    return lines


def _split(split: dict[str, Any]) -> list[str]:
    lines = [
        "",
        f"## One sequence split over processes, N {split['blocks']}, L {split['length']:,}, D {split['width']}",
        "",
        "`sequence_parallel`, one thread each. Law: the time of one process, times (N + P - 1) / (N P).",
        "",
        "| P | ms | law | error |",
        "|---|---|---|---|",
    ]
    for point in split["points"]:
        values = f"{1e3 * point['measured']:.3g} | {1e3 * point['law']:.3g} | {100 * point['error']:+.0f} %"
        lines.append(f"| {point['processes']} | {values} |")
    return lines


def _extrapolation(report: dict[str, Any]) -> list[str]:
    lines = ["", f"## {_TIMES:,} times as long, by the laws: not measured", ""]
    for threads, fit in report["operator"].items():
        size = _longer(fit)
        taken = _predict(OPERATOR, fit, size)
        lines.append(
            f"- Operator, {threads} thread(s), L {size.length:,}, D {size.width}, J {size.depth}: {taken:,.0f} s"
        )
    size = _longer(report["memory"])
    taken = _predict(MEMORY, report["memory"], size)
    return [*lines, f"- Network, L {size.length:,}, D {size.width}, N {size.blocks}: {taken / 2**30:,.0f} GiB"]


def _longer(fit: dict[str, Any]) -> Size:
    of = max(fit["points"], key=lambda point: point["length"])
    length = _TIMES * of["length"]
    depth = default_depth(length, of["kernel_size"])
    return Size(of["batch"], length, of["width"], depth, of["kernel_size"], of["blocks"])


def _predict(law: Law, fit: dict[str, Any], size: Size) -> float:
    return law.predict(fit["coefficients"], size)


def draw(report: dict[str, Any]) -> Figure:
    """Draw measured points and laws against length: time of the operator, memory of the network."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    figure.suptitle(report["machine"], fontsize=9)
    left, right = figure.subplots(1, 2)
    for (threads, fit), colour in zip(report["operator"].items(), ("black", "tab:orange"), strict=True):
        lengths = [point["length"] for point in fit["points"]]
        left.loglog(
            lengths, [1e3 * point["law"] for point in fit["points"]], color=colour, label=f"{threads} thread(s)"
        )
        left.plot(lengths, [1e3 * point["measured"] for point in fit["points"]], "o", color=colour)
    left.set(xlabel="length", ylabel="ms", title="Operator: a + b L J")
    left.legend()
    points = report["memory"]["points"]
    right.loglog([point["length"] for point in points], [point["law"] / 2**20 for point in points], color="black")
    right.plot(
        [point["length"] for point in points], [point["measured"] / 2**20 for point in points], "o", color="black"
    )
    right.set(xlabel="length", ylabel="MiB", title="Memory of a step of the network: a + b L")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.grid(alpha=0.25)
    return figure
