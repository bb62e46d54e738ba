"""Pictures of the layers of a model: their filters, their responses in time and frequency, and their scales."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from multiresconv.figures import save_figure
from multiresconv.inspection.measures import (
    SHARE,
    Values,
    effective_steps,
    energy_shares,
    gains,
    impulse_responses,
    terms,
    weights,
)
from multiresconv.layers import MultiresLayer
from multiresconv.ops.analysis import frequency_response
from multiresconv.ops.cpu.arrays import array

MOST_LAYERS, MOST_CHANNELS = 8, 64  # per picture, to keep it readable
_LEARNED, _INITIAL, _MARK = "#4477aa", "#999999", "#cc3311"
_DEPTH = 70  # range of the frequency responses, in dB below the strongest
_LEAST = 1e-12  # avoids the logarithm of 0, which would break the lines

Layers = Sequence[MultiresLayer]


def draw_filters(path: Path, layers: Layers, initial: Layers | None) -> None:
    """Draw the taps of h0 and h1 of each layer as heat maps, learned beside initial ones, and their gains.

    All maps of a layer show the channels in the same order: by the learned gain of h0 at frequency 0.
    """
    chosen, kinds = _evenly(len(layers), MOST_LAYERS), _kinds(layers, initial)
    n_maps = 2 * len(kinds)
    widths = [1.0] * n_maps + [1.8, 1.8]
    figure = Figure(figsize=(1.35 * sum(widths) + 1.5, 2.0 * len(chosen) + 1.2), layout="constrained")
    figure.suptitle(_title("filters, channels by the learned gain of $h_0$ at 0", chosen, layers))
    grid = figure.subplots(len(chosen), len(widths), squeeze=False, width_ratios=widths)
    for row, index in zip(grid, chosen, strict=True):
        maps, curves = row[:n_maps], row[n_maps:]
        taps = {kind: [array(t) for t in weights(of[index])[:2]] for kind, of in kinds.items()}
        by_gain = np.argsort(-taps["learned"][0].sum(1), kind="stable")
        channels = by_gain[_evenly(len(by_gain), MOST_CHANNELS)]
        limit = max(np.abs(pair).max() for pair in taps.values()) or 1.0
        colours = ScalarMappable(Normalize(-limit, limit), "RdBu_r")
        for axes, (filter_, kind) in zip(maps, [(filter_, kind) for filter_ in (0, 1) for kind in kinds], strict=True):
            values = taps[kind][filter_][channels]
            axes.imshow(values, norm=colours.norm, cmap=colours.cmap, aspect="auto", interpolation="nearest")
            axes.set_title(f"$h_{filter_}$ {kind}", fontsize=10)
            newest = values.shape[1] - 1
            marks = _evenly(newest + 1, 5)
            axes.set_xticks(marks, newest - marks)
            axes.set_yticks([])
        maps[0].set_ylabel(f"layer {index + 1}\n{len(channels)} of {len(by_gain)} channels")
        figure.colorbar(colours, ax=maps[-1]).ax.set_title("tap", fontsize=8)
        for axes, filter_ in zip(curves, (0, 1), strict=True):
            for kind in kinds:
                _draw_gain(axes, taps[kind][filter_], kind)
            axes.set_title(f"gain of $h_{filter_}$", fontsize=10)
            axes.grid(alpha=0.3)
    for axes in grid[-1, :n_maps]:
        axes.set_xlabel("steps back")
    for axes in grid[-1, n_maps:]:
        axes.set_xlabel("cycles per step")
    lines, labels = grid[0, -1].get_legend_handles_labels()
    labels = [f"{label}: median, quartiles" for label in labels]
    figure.legend(lines, labels, loc="outside lower right", ncols=len(labels), frameon=False)
    save_figure(figure, path)


def _draw_gain(axes: Axes, taps: Values, kind: str) -> None:
    """Draw the gain of filters (D, K) against frequency: median and quartiles over the channels."""
    h = torch.from_numpy(taps)
    frequencies, low, _ = frequency_response(h, h, 1, 65)
    lower, median, upper = np.quantile(low.abs().numpy(), [0.25, 0.5, 0.75], axis=0)
    colour = _LEARNED if kind == "learned" else _INITIAL
    axes.fill_between(frequencies.numpy(), lower, upper, color=colour, alpha=0.25, linewidth=0)
    style, order = ("-", 2) if kind == "learned" else ("--", 3)  # initial on top, visible where nothing was learned
    axes.plot(frequencies.numpy(), median, style, color=colour, linewidth=2, zorder=order, label=kind)
    axes.set_xlim(0, 0.5)
    axes.set_ylim(bottom=0)


def draw_impulse_responses(path: Path, layers: Layers) -> None:
    """Draw the impulse responses of each layer: channels, median and deciles, and the receptive fields."""

    def draw(axes: Axes, layer: MultiresLayer, name: str) -> None:
        responses = impulse_responses(layer)
        reach = float(np.median(effective_steps(responses)))
        norms = np.sqrt((responses**2).sum(1, keepdims=True))
        ages, sizes = by_octave(np.arange(1, responses.shape[1] + 1), responses / np.where(norms > 0, norms, 1))
        sizes = np.maximum(sizes, _LEAST)
        axes.plot(ages, sizes[_evenly(len(sizes), MOST_CHANNELS)].T, color=_LEARNED, alpha=0.2, linewidth=0.5)
        lower, median, upper = np.quantile(sizes, [0.1, 0.5, 0.9], axis=0)
        axes.fill_between(ages, lower, upper, color=_LEARNED, alpha=0.25, linewidth=0, label="10 % to 90 % of channels")
        axes.plot(ages, median, color=_LEARNED, linewidth=2, label="median channel")
        axes.axvline(reach, color=_MARK, linestyle="--", label=f"{SHARE:.0%} of the energy, median")
        axes.axvline(layer.receptive_field, color="black", linestyle=":", label="receptive field")
        seen = "" if responses.shape[1] == layer.receptive_field else "the first "
        axes.set_title(f"{name}: {SHARE:.0%} within {reach:.0f} of {seen}{responses.shape[1]} steps", fontsize=9)
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_yscale("log")
        axes.set_ylim(1e-5, 1.5)

    title = "impulse responses, of energy 1 in every channel"
    _draw_panels(path, layers, draw, title, "age of a step (1 = the current one)", "|weight| of a step")


def draw_energies(path: Path, layers: Layers, initial: Layers | None) -> None:
    """Draw a table of energy shares: one row per layer, one column per term x, b_1, ..., b_J, a_J."""
    kinds, names = _kinds(layers, initial), terms(layers[0])
    symbols = [symbol(name) for name in names]
    tables = [100 * np.stack([energy_shares(layer) for layer in of]) for of in kinds.values()]
    largest = max(table.max() for table in tables)
    size = (1.6 + len(kinds) * max(0.4 * len(names), 2.5), 1.8 + 0.28 * len(layers))
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle("energy per scale for white input, mean share over the channels")
    row = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    drawn = [draw_shares(axes, table, symbols, largest) for axes, table in zip(row, tables, strict=True)]
    for axes, kind in zip(row, kinds, strict=True):
        axes.set_title(kind, fontsize=10)
    row[0].set_ylabel("layer")
    figure.colorbar(drawn[0], ax=row[-1], label="share in %", aspect=20 + len(layers))
    save_figure(figure, path)


def draw_shares(axes: Axes, table: Values, columns: Sequence[str], largest: float) -> ScalarMappable:
    """Draw a table of energy shares in %, one row per layer, one column per term; return the scale of its colours."""
    image = axes.imshow(
        table, norm=PowerNorm(0.5, 0, largest or 1.0), cmap="Blues", aspect="auto", interpolation="nearest"
    )
    axes.set_xticks(range(table.shape[1]), columns)
    axes.set_xlabel("term, from fine to coarse")
    axes.set_yticks(range(len(table)), [str(number) for number in range(1, len(table) + 1)])
    for (layer, term), share in np.ndenumerate(table):
        colour = "white" if share > 0.4 * largest else "black"
        axes.text(term, layer, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=7)
    return image


def draw_frequency_responses(path: Path, layers: Layers) -> None:
    """Draw the gains from x to the coefficients of every scale for each layer, median over the channels."""
    peaks: list[float] = []

    def draw(axes: Axes, layer: MultiresLayer, name: str) -> None:
        frequencies, magnitudes = gains(layer, _evenly(layer.d_model, MOST_CHANNELS))
        centres, sizes = by_octave(np.arange(1, len(frequencies) + 1), magnitudes)
        medians = 20 * np.log10(np.maximum(np.median(sizes, axis=1), _LEAST))
        peaks.append(medians.max())
        colours = [*matplotlib.colormaps["viridis_r"](np.linspace(0.1, 1, layer.depth)), _MARK]
        for term, line, colour in zip(terms(layer)[1:], medians, colours, strict=True):
            style = "--" if term.startswith("a") else "-"
            axes.plot(centres * frequencies[0], line, style, color=colour, label=symbol(term))
        axes.set_title(name, fontsize=9)
        axes.xaxis.set_major_formatter(lambda frequency, _: f"1/{1 / frequency:.0f}")
        axes.set_ylim(max(peaks) - _DEPTH, max(peaks) + 5)  # the panels share one axis

    _draw_panels(
        path,
        layers,
        draw,
        "gains from x to the coefficients",
        "frequency in cycles per step",
        "gain in dB, median channel",
    )


def _draw_panels(
    path: Path,
    layers: Layers,
    draw: Callable[[Axes, MultiresLayer, str], None],
    title: str,
    xlabel: str,
    ylabel: str,
) -> None:
    """Draw one panel per chosen layer, with shared axes (x logarithmic) and one legend."""
    chosen = _evenly(len(layers), MOST_LAYERS)
    columns = len(chosen) if len(chosen) <= 3 else -(-len(chosen) // 2)
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(3.7 * columns + 2.8, 2.9 * rows + 0.8), layout="constrained")
    figure.suptitle(_title(title, chosen, layers))
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axes, index in zip(panels, chosen, strict=False):
        axes.set_xscale("log", base=2)
        draw(axes, layers[index], f"layer {index + 1}")
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(LogLocator(2, numticks=6))
        axes.minorticks_off()
        axes.tick_params(axis="x", labelsize=8)
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    for axes in panels[len(chosen) - columns : len(chosen)]:  # the lowest panel of each column
        axes.tick_params(axis="x", labelbottom=True)
    figure.supxlabel(xlabel, fontsize="medium")
    figure.supylabel(ylabel, fontsize="medium")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside right center", ncols=1 + len(labels) // 14, frameon=False)
    save_figure(figure, path)


def _kinds(layers: Layers, initial: Layers | None) -> dict[str, Layers]:
    return {"learned": layers} if initial is None else {"initial": initial, "learned": layers}


def _evenly(count: int, most: int) -> Values:
    """Return at most `most` evenly spaced indices below `count`, the first and last included."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def by_octave(positions: Values, values: Values, bins_per_octave: int = 8) -> tuple[Values, Values]:
    """Average positions (N,), rising and >= 1, and root-mean-square values (..., N) in bins of 1/8 octave."""
    starts = np.flatnonzero(np.diff(np.floor(bins_per_octave * np.log2(positions)), prepend=-1))
    counts = np.diff(starts, append=len(positions))
    centres = np.exp2(np.add.reduceat(np.log2(positions), starts) / counts)
    return centres, np.sqrt(np.add.reduceat(values**2, starts, axis=-1) / counts)


def symbol(term: str) -> str:
    """Format a term such as "b_12" as mathematics."""
    return "$" + term.replace("_", "_{") + ("}$" if "_" in term else "$")


def _title(what: str, chosen: Values, layers: Layers) -> str:
    return what if len(chosen) == len(layers) else f"{what}; {len(chosen)} of {len(layers)} layers"
