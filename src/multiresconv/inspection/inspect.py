"""What a model has learned, layer by layer: pictures of its filters, responses and scales, and the numbers behind."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from multiresconv.files import write_json
from multiresconv.inspection.measures import SHARE, effective_steps, energy_shares, impulse_responses, terms
from multiresconv.inspection.pictures import (
    draw_energies,
    draw_filters,
    draw_frequency_responses,
    draw_impulse_responses,
)
from multiresconv.layers import MultiresLayer


def inspect_model(model: nn.Module, initial: nn.Module | None, folder: Path) -> list[Path]:
    """Draw filters.png, impulse-responses.png, energy-per-scale.png and frequency-response.png, write inspection.json.

    Args:
        model: any model that has layers of `MultiresLayer`, all of one depth, on any device.
        initial: the same model before it was trained, drawn beside it; None if it is not known.
        folder: where the files go; made if need be.

    Returns:
        The paths of the files, inspection.json (see `summarise`) last, which is also written last.

    Raises:
        ValueError: a model without such layers or with values that are not finite; an initial one of other layers.
    """
    layers = multires_layers("model", model)
    before = None if initial is None else multires_layers("initial", initial)
    if before is not None and [shape(layer) for layer in before] != [shape(layer) for layer in layers]:
        raise ValueError("initial: expected layers of the same shapes as in model; build it from the config of model")
    depths = sorted({layer.depth for layer in layers})
    if len(depths) > 1:
        raise ValueError(f"model: expected layers of one depth, got {', '.join(map(str, depths))}; see summarise")
    folder.mkdir(parents=True, exist_ok=True)
    names = ("filters.png", "impulse-responses.png", "energy-per-scale.png", "frequency-response.png")
    filters, impulses, energies, frequencies = (folder / name for name in names)
    summary = folder / "inspection.json"
    draw_filters(filters, layers, before)
    draw_impulse_responses(impulses, layers)
    draw_energies(energies, layers, before)
    draw_frequency_responses(frequencies, layers)
    write_json(summary, summarise(model))
    return [filters, impulses, energies, frequencies, summary]


def summarise(model: nn.Module) -> dict[str, Any]:
    """How far each layer looks, and through which scales, ready for JSON.

    Returns:
        {"share": 0.99, "layers": [...]}; of each layer its number, from 1; memory [m_J, ..., m_1]; receptive_field in
        steps; measured_steps, how many of them the impulse response was computed for, all but in very deep layers;
        effective_receptive_field, how many of the newest of these hold that share of their energy, {median, lowest,
        highest} over the channels; and energy_shares {x, b_1, ..., b_J, a_J}, of the terms of the operator in the
        energy that they put out for white input, the mean over the channels.

    Raises:
        ValueError: a model without layers of `MultiresLayer`, or with values that are not finite.
    """
    summaries = []
    for number, layer in enumerate(multires_layers("model", model), start=1):
        responses = impulse_responses(layer)
        steps = effective_steps(responses)
        effective = {"median": float(np.median(steps)), "lowest": int(steps.min()), "highest": int(steps.max())}
        summaries.append(
            {
                "layer": number,
                "memory": list(layer.memory),
                "receptive_field": layer.receptive_field,
                "measured_steps": responses.shape[1],
                "effective_receptive_field": effective,
                "energy_shares": dict(zip(terms(layer), energy_shares(layer).tolist(), strict=True)),
            }
        )
    return {"share": SHARE, "layers": summaries}


def multires_layers(name: str, model: nn.Module) -> list[MultiresLayer]:
    """The layers of a model from the input to the output, all values of which are there and finite."""
    layers = [module for module in model.modules() if isinstance(module, MultiresLayer)]
    if not layers:
        raise ValueError(f"{name}: expected a model with layers of MultiresLayer, {type(model).__name__} has none")
    for number, layer in enumerate(layers, start=1):
        for key, values in layer.named_parameters():
            if values.is_meta:
                raise ValueError(f"{name}: expected one that has values, this one is on the meta device")
            if not values.isfinite().all():
                raise ValueError(f"{name}: layer {number}: {key}: expected finite values; take an earlier checkpoint")
    return layers


def shape(layer: MultiresLayer) -> tuple[object, ...]:
    return layer.d_model, layer.kernel_size, tuple(layer.memory)
