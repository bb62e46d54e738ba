"""Pictures and numbers of what each layer has learned: its filters, responses and scales."""

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
    """Write filters.png, impulse-responses.png, energy-per-scale.png, frequency-response.png and inspection.json.

    Args:
        model: any model with layers of `MultiresLayer`, all of one depth, on any device.
        initial: the same model before training, to draw beside it; None if unknown.
        folder: where the files go; created if missing.

    Returns:
        The paths of the files. The last one, inspection.json (see `summarise`), is also written last.

    Raises:
        ValueError: the model has no such layers or non-finite values, or the layers of `initial` differ from its own.
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
    """Measure how far each layer looks back and through which scales.

    Returns:
        {"share": 0.99, "layers": [...]}, ready for JSON. Each layer has:

        - layer: its number, from 1.
        - memory: [m_J, ..., m_1].
        - receptive_field: in steps.
        - measured_steps: length of the computed impulse response; below receptive_field in very deep layers only.
        - effective_receptive_field: number of newest steps that hold that share of the impulse response's energy, as
          {median, lowest, highest} over the channels.
        - energy_shares: {x, b_1, ..., b_J, a_J}, the share of each term in the output energy for white-noise input,
          averaged over the channels.

    Raises:
        ValueError: the model has no `MultiresLayer`, or values that are not finite.
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
    """Return the layers of a model from input to output; raise ValueError unless all values are finite."""
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
