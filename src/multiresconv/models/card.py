"""`card`: what a model says of itself, in Markdown. Exported folders and repositories of a hub begin with it."""

from collections.abc import Iterable

from multiresconv.models.description import Input, Output
from multiresconv.models.sequence_model import SequenceModel

NAMES = 20  # at most as many names are listed


def card(model: SequenceModel, title: str, lead: str, sections: Iterable[tuple[str, str]]) -> str:
    """Return a card: what goes in, what comes out, and further sections.

    Args:
        model: any model.
        title: the heading.
        lead: end of the sentence that begins with the class and the size of the model.
        sections: heading and text of each.
    """
    weights = sum(tensor.numel() for tensor in model.state_dict().values())
    facts = table([("input", _input(model.input)), ("output", _output(model.output))])
    parts = [f"# {title}", f"{type(model).__name__} of {weights:,} numbers; {lead}.", facts]
    parts += [f"## {heading}\n\n{text.rstrip()}" for heading, text in sections]
    return "\n\n".join(parts) + "\n"


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and values as a table in Markdown."""
    cells = ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return "\n".join(["| | |", "|---|---|", *cells])


def _input(input: Input) -> str:
    if input.kind == "tokens":
        return f"tokens: {_listed(input.vocabulary)}"
    if input.kind == "image":
        side = "any size" if input.side is None else f"{input.side} x {input.side} pixels"
        return f"image, {side}, {_listed(input.channels)}, levels 0 to 255"
    unit = "" if input.unit is None else f" in {input.unit}"
    rate = "" if input.rate is None else f", {input.rate:g} samples per second"
    missing = {"refuse": "are refused", "hold": "repeat the last value", "mask": "are allowed (NaN)"}[input.missing]
    return f"signal of {len(input.channels)} channels ({_listed(input.channels)}){unit}{rate}; missing values {missing}"


def _output(output: Output) -> str:
    of_names = f": {_listed(output.names)}" if output.names else ""
    if output.kind == "forecast":
        quantiles = f", quantiles {', '.join(f'{q:g}' for q in output.quantiles)}" if output.quantiles else ""
        return f"forecast of {output.horizon} steps{quantiles}{of_names}"
    what = {"class": "one class", "labels": "any of the labels", "value": "values", "density": "density of each pixel"}
    return what[output.kind] + of_names


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:NAMES]) + (f" and {len(names) - NAMES} more" if len(names) > NAMES else "")
