"""Picture of an explanation: the sequence with what spoke for and against a label, the running sum, the scales."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from multiresconv.figures import save_figure
from multiresconv.inspection.explain import Explanation, Values
from multiresconv.inspection.pictures import draw_shares, symbol
from multiresconv.models import Input

FOR, AGAINST = "#e69f00", "#0072b2"  # Okabe and Ito: told apart by colour-blind readers, and light and dark in grey
MOST_COLUMNS = 1500  # of a longer sequence, each column is drawn from several steps
MOST_TRACES, MOST_TOKENS = 16, 400  # to keep the picture readable
_WIDTH, _EVIDENCE = 11.0, 3.4  # inches: width of the picture, height of the two panels of evidence
_STRONGEST = 0.75  # opacity of the strongest evidence


class Ruler(NamedTuple):
    """Unit of the time axis, and its length per step."""

    unit: str
    step: float


def draw_explanation(
    path: Path,
    explanation: Explanation,
    x: Values,
    input: Input,
    title: str,
    channels: Sequence[int] | None = None,
    *,
    value: bool = False,
) -> None:
    """Draw an explanation as a PNG.

    Args:
        path: where to write it.
        explanation: of `explain`.
        x: (L, d_input) or tokens (L,), the sequence in the unit of the input.
        input: description of the input.
        title: title of the picture.
        channels: numbers of the channels of a signal to draw, in order; default the first `MOST_TRACES`.
        value: the explanation is of a value, not of a label.
    """
    ruler, above, below = ruler_of(input), _sequence_height(x, input, channels), 1.5 + 0.24 * len(explanation.shares)
    figure = Figure(figsize=(_WIDTH, above + _EVIDENCE + below + 0.5), layout="constrained")
    figure.suptitle(title, parse_math=False)
    heights = [above + _EVIDENCE, below] if input.kind == "signal" else [above, _EVIDENCE, below]
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    if input.kind == "signal":  # on the time axis of the evidence
        trace, rate, total = parts[0].subplots(3, 1, sharex=True, height_ratios=[above, _EVIDENCE / 2, _EVIDENCE / 2])
        _draw_signal(trace, explanation, x, input, range(x.shape[1])[:MOST_TRACES] if channels is None else channels)
    else:
        rate, total = parts[1].subplots(2, 1, sharex=True)
        if input.kind == "image":
            left, right = parts[0].subplots(1, 2)
            _draw_image(left, right, explanation, x, input)
        else:
            _draw_tokens(parts[0].subplots(), explanation, x, input)
    words = ("raises it", "lowers it") if value else ("speaks for it", "speaks against it")
    patches = [Patch(color=colour, label=word) for colour, word in zip((FOR, AGAINST), words, strict=True)]
    parts[0].legend(handles=patches, loc="outside upper right", ncols=2, frameon=False, fontsize="small")
    _draw_evidence(rate, total, explanation, ruler)
    _draw_scales(parts[-1].subplots(), explanation, ruler)
    save_figure(figure, path)


def ruler_of(input: Input) -> Ruler:
    """Return seconds if the rate is known; otherwise count samples, pixels or tokens."""
    if input.rate is not None:
        return Ruler("s", 1 / input.rate)
    return Ruler({"signal": "samples", "image": "pixels", "tokens": "tokens"}[input.kind], 1.0)


def tint(evidence: Values, limit: float, under: Values | float = 1.0) -> Values:
    """Colour evidence of any shape over grey levels 0..1: orange for, blue against, full strength from `limit` on."""
    strength = _STRONGEST * np.clip(np.abs(evidence) / limit, 0, 1)[..., None]
    colour = np.where(evidence[..., None] > 0, to_rgb(FOR), to_rgb(AGAINST))
    return (1 - strength) * np.asarray(under)[..., None] + strength * colour


def bin_edges(length: int) -> Values:
    """Return the edges of at most `MOST_COLUMNS` bins of nearly equal size over the steps."""
    return np.linspace(0, length, min(length, MOST_COLUMNS) + 1).round().astype(int)


def envelope(values: Values, edges: Values) -> tuple[Values, Values]:
    """Return positions and values of a line through the lowest and highest value of each bin."""
    if len(edges) == len(values) + 1:
        return np.arange(len(values)) + 0.5, values
    pair = np.stack([np.minimum.reduceat(values, edges[:-1]), np.maximum.reduceat(values, edges[:-1])], 1)
    return np.repeat((edges[:-1] + edges[1:]) / 2, 2), pair.ravel()


def _limit(evidence: Values) -> float:
    """Return the evidence to colour at full strength, so that few strong steps do not make all others pale."""
    return float(np.quantile(np.abs(evidence), 0.98)) or float(np.abs(evidence).max()) or 1.0


def _means(values: Values, edges: Values) -> Values:
    return np.add.reduceat(values, edges[:-1], axis=0) / np.diff(edges).reshape(-1, *[1] * (values.ndim - 1))


def _sequence_height(x: Values, input: Input, channels: Sequence[int] | None) -> float:
    if input.kind == "signal":
        count = min(x.shape[1], MOST_TRACES) if channels is None else len(channels)
        return 1.3 + 0.42 * count
    if input.kind == "image":
        return 4.2
    return 0.8 + 0.3 * -(-min(len(x), MOST_TOKENS) // _token_columns(input))


def _draw_signal(axes: Axes, explanation: Explanation, x: Values, input: Input, channels: Sequence[int]) -> None:
    """Draw the channels as stacked traces over the colours of the evidence."""
    ruler, edges = ruler_of(input), bin_edges(len(x))
    traces = x[:, list(channels)].astype(np.float64)
    traces = traces - np.median(traces, 0)
    ranges = np.diff(np.quantile(traces, [0.001, 0.999], axis=0), axis=0)[0]
    if ranges.max() > 20 * max(float(np.median(ranges)), 1e-30):
        traces, gap, spacing = traces / np.where(ranges > 0, ranges, 1), 1.2, "each channel on its own scale"
    else:
        gap = _round_up(0.7 * float(ranges.max()))  # peaks may reach into the next line
        spacing = f"{gap:g} {input.unit or ''}".strip() + " from line to line"
    shown = explanation.evidence[:, None]
    if explanation.by_channel is not None:
        shown = explanation.by_channel[:, list(channels)]
    shades = _means(shown, edges).T
    last = len(channels) - 1
    axes.imshow(
        tint(shades, _limit(shades)),
        extent=(0, len(x) * ruler.step, -(last + 0.5) * gap, 0.5 * gap),
        aspect="auto",
        interpolation="nearest",
    )
    lowest, highest = -(last + 0.6) * gap, 0.6 * gap
    for place, trace in enumerate(traces.T):
        positions, values = envelope(trace, edges)
        axes.plot(positions * ruler.step, values - place * gap, color="black", linewidth=0.7)
        lowest, highest = min(lowest, values.min() - place * gap), max(highest, values.max() - place * gap)
    axes.set_yticks([-place * gap for place in range(last + 1)], [input.channels[number] for number in channels])
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.set_ylim(lowest, highest)
    counted = "" if len(channels) == x.shape[1] else f", {len(channels)} of {x.shape[1]}"
    axes.set_ylabel(f"channels{counted}\n{spacing}", fontsize="small")


def _draw_image(left: Axes, right: Axes, explanation: Explanation, x: Values, input: Input) -> None:
    """Draw the picture, and the evidence of each pixel over a pale copy; a pixel stands where the step reads it."""
    side, order = input.side or 1, np.arange(len(x)) if input.order is None else np.array(input.order)
    pixels, evidence = np.empty_like(x, np.float64), np.empty(len(x))
    pixels[order], evidence[order] = x, explanation.evidence
    picture = (pixels / 255).clip(0, 1).reshape(side, side, -1)
    left.imshow(picture.squeeze(2) if picture.shape[2] == 1 else picture, cmap="gray", vmin=0, vmax=1)
    left.set_title("input", fontsize="medium")
    pale = 1 - 0.6 * picture.mean(2)
    right.imshow(tint(evidence.reshape(side, side), _limit(evidence), pale), interpolation="nearest")
    read = "row by row" if input.order is None else "in the model's order"
    right.set_title(f"evidence at each pixel, read {read}", fontsize="medium")
    for axes in (left, right):
        axes.set_xlabel("column in pixels")
        axes.set_ylabel("row in pixels")


def _token_columns(input: Input) -> int:
    """Return how many tokens fit on a line."""
    return max(1, int(_WIDTH / (0.09 * max(len(_shorten(token)) for token in input.vocabulary) + 0.14)))


def _draw_tokens(axes: Axes, explanation: Explanation, x: Values, input: Input) -> None:
    """Draw the symbols line by line on the colours of their evidence."""
    columns = _token_columns(input)
    tokens, evidence = x[:MOST_TOKENS], explanation.evidence[:MOST_TOKENS]
    rows = -(-len(tokens) // columns)
    cells = np.zeros(rows * columns)
    cells[: len(tokens)] = evidence
    axes.imshow(tint(cells.reshape(rows, columns), _limit(evidence)), aspect="auto", interpolation="nearest")
    for place, token in enumerate(tokens):
        axes.text(
            place % columns,
            place // columns,
            _shorten(input.vocabulary[int(token)]),
            ha="center",
            va="center",
            family="monospace",
            fontsize=8,
            parse_math=False,
        )
    axes.set_xticks([])
    axes.set_yticks(range(rows), [str(row * columns + 1) for row in range(rows)], fontsize="small")
    axes.set_ylabel("number of the\nfirst token", fontsize="small")
    if len(tokens) < len(x):
        axes.set_xlabel(f"the first {len(tokens)} of {len(x)} tokens")


def _shorten(token: str) -> str:
    return token if len(token) <= 12 else token[:11] + "…"


def _draw_evidence(rate: Axes, total: Axes, explanation: Explanation, ruler: Ruler) -> None:
    """Draw the evidence per unit of time, and its running sum."""
    evidence = explanation.evidence
    edges = bin_edges(len(evidence))
    times, per = edges * ruler.step, "second" if ruler.unit == "s" else ruler.unit.removesuffix("s")
    # apart, because the two would cancel where a column holds many steps
    heights = [_means(clip(evidence, 0), edges) / ruler.step for clip in (np.maximum, np.minimum)]
    for height, colour in zip(heights, (FOR, AGAINST), strict=True):
        rate.stairs(height, times, fill=True, color=colour)
    rate.set_ylabel(f"evidence\nper {per}")
    linear = _limit(np.concatenate(heights))
    if max(np.abs(height).max() for height in heights) > 20 * linear:  # a few steps would make all others invisible
        rate.set_yscale("symlog", linthresh=linear)
        decades = [10 ** np.floor(np.log10(max(np.abs(height).max(), 1e-300))) for height in heights]
        marks = [sign * decade for sign, decade in zip((1, -1), decades, strict=True) if decade > linear]
        rate.set_yticks([0, *marks], ["0", *(f"{mark:g}" for mark in marks)])
        rate.minorticks_off()
    sums = np.concatenate([[0.0], np.cumsum(evidence)])[edges]
    total.plot(times, sums, color="black", linewidth=1.2)
    total.set_ylabel("running sum\nof evidence")
    total.set_xlabel(_time_label(ruler))
    total.set_xlim(0, times[-1])
    for axes in (rate, total):
        axes.axhline(0, color="black", linewidth=0.6)
        axes.grid(alpha=0.3)
        if axes.get_yscale() == "linear":
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _draw_scales(axes: Axes, explanation: Explanation, ruler: Ruler) -> None:
    """Draw the share of each scale in the energy of each layer as a table."""
    many = len(explanation.terms) > 14
    columns = [
        f"{symbol(term)}{' ' if many else chr(10)}{_short(span * ruler.step)}"
        for term, span in zip(explanation.terms, explanation.spans, strict=True)
    ]
    table = 100 * explanation.shares
    draw_shares(axes, table, columns, table.max())
    axes.tick_params(axis="x", labelsize="small", labelrotation=90 if many else 0)
    spanned = "time" if ruler.unit == "s" else "part"
    layers = explanation.rows[0].isdigit()
    what, rows = ("term", "layer") if layers else ("scale", "coefficients")
    axes.set_xlabel(f"{what}, from fine to coarse; below it, the {spanned} that it spans, in {ruler.unit}")
    axes.set_yticks(range(len(table)), [row if layers else symbol(f"{row}_j") for row in explanation.rows])
    axes.set_ylabel(rows)
    whole = "energy of the layer's output" if layers else "evidence for and against, signs left out"
    axes.set_title(f"share of each scale in the {whole}, in %", fontsize="medium")


def _time_label(ruler: Ruler) -> str:
    return f"time in {ruler.unit}" if ruler.unit == "s" else f"{ruler.unit} read so far"


def _round_up(value: float) -> float:
    """Return the next number of 1, 1.5, 2, 3, 5 times a power of 10; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * next(step for step in (1, 1.5, 2, 3, 5, 10) if step * power >= value * (1 - 1e-9)))


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
