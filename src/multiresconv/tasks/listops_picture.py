"""Draw the accuracy on ListOps against length and depth of the expressions."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure


def draw_by_length_and_depth(
    by_length: Sequence[dict[str, Any]], by_depth: Sequence[dict[str, Any]], title: str
) -> Figure:
    """Draw accuracies with 95 % intervals of groups of rows, see `ListOps.report`."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    for axes, groups, name in zip(
        figure.subplots(1, 2, sharey=True),
        (by_length, by_depth),
        ("tokens", "depth of the operators"),
        strict=True,
    ):
        accuracies = [group["accuracy"] for group in groups]
        ends = [group["accuracy_95"] for group in groups]
        spans = [[a - low for a, (low, _) in zip(accuracies, ends, strict=True)]]
        spans.append([high - a for a, (_, high) in zip(accuracies, ends, strict=True)])
        axes.errorbar(range(len(groups)), accuracies, yerr=spans, fmt="o", capsize=3, color="tab:blue")
        labels = [f"{_named(group)}\nn {group['n']}" for group in groups]
        axes.set_xticks(range(len(groups)), labels, fontsize=7)
        axes.set(xlabel=name, ylim=(0, 1))
        axes.grid(axis="y", linewidth=0.5, alpha=0.5)
    figure.axes[0].set_ylabel("accuracy, 95 % interval")
    figure.suptitle(title, fontsize=10)
    return figure


def _named(group: dict[str, Any]) -> str:
    return f"{group['tokens'][0]}-{group['tokens'][1]}" if "tokens" in group else str(group["depth"])
