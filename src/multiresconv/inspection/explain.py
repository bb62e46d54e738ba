"""Explain one prediction: what spoke for it over time, and through which scales the layers answered."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.inspection.attribution import integrated_gradients
from multiresconv.inspection.measures import term_spans, terms
from multiresconv.inspection.scales import ScaleMeter
from multiresconv.models import MultiresRidge, Output
from multiresconv.models.pooled import PooledModel
from multiresconv.ops import receptive_field

MOST_STEPS = 1 << 16  # of a sequence for integrated gradients, which keep what every block computed

Values = NDArray[Any]


class Explanation(NamedTuple):
    """Why a model gave a label or a value to one sequence of L steps.

    Attributes:
        outputs: (C,) logits or values, on the CPU, in float64.
        label: number of the explained label or value.
        evidence: (L,) evidence of each step for the label, see `evidence_weights`; negative is against it.
        by_channel: (L, d_input) the same, split over the channels; None for tokens and without `by_input`.
        by_input: True if the evidence is that of the input values, False if it is that of the features.
        elsewhere: evidence that no step has: that of the training mean as input. 0 unless the pooling is "last".
        error: `|sum of evidence + elsewhere - evidence of the logits|`, relative to the latter without elsewhere.
        shares: (n_layers, J + 2) share of each term in the energy of each layer, see `ScaleMeter`. Of a `MultiresRidge`
            (2, J) share of each coefficient series, b_1, ..., b_J and a_1, ..., a_J, in its `scale_evidence`.
        rows: names of the rows of `shares`: numbers of layers, or "b" and "a".
        terms: names of the columns: "x", "b_1", ..., "b_J", "a_J", or numbers of scales.
        spans: number of steps that each column can depend on.
    """

    outputs: Tensor
    label: int
    evidence: Values
    by_channel: Values | None
    by_input: bool
    elsewhere: float
    error: float
    shares: Values
    rows: tuple[str, ...]
    terms: tuple[str, ...]
    spans: tuple[int, ...]


class Stretch(NamedTuple):
    """Consecutive steps start..stop-1 whose evidence has one sign, and its sum."""

    start: int
    stop: int
    evidence: float


def explain(
    model: PooledModel | MultiresRidge, x: Tensor, *, label: int | None = None, chunk: int | None = None
) -> Explanation:
    """Explain the prediction for one sequence.

    With the poolings "mean" and "max" the evidence is split over the features of the steps, in a `MultiresRidge` over
    the steps that its features count; both are exact. With "last" it is split over the input by integrated gradients.

    Args:
        model: a classifier or regressor in eval mode.
        x: (L, d_input) or tokens (L,), in the unit of the model's input.
        label: number of the label or value to explain; default the most probable label, or the first value.
        chunk: number of steps to compute at once, for a long sequence and a causal model; default all.

    Raises:
        ValueError: the pooling is "last" and the sequence has over `MOST_STEPS`.
    """
    x = x.unsqueeze(0).to(model.head.weight.device)
    if isinstance(model, MultiresRidge):
        return _explain_ridge(model, x, label)
    by_steps = model.pooling != "last"
    if not by_steps and x.shape[1] > MOST_STEPS:
        raise ValueError(
            f"the sequence: expected at most {MOST_STEPS} steps, got {x.shape[1]}; a model that pools the last step "
            "is explained by integrated gradients, which need all of it in memory; cut the sequence"
        )
    with ScaleMeter(model) as meter, torch.inference_mode():
        # (L, C), or the outputs as (1, C)
        parts = model.contributions(x, chunk=chunk)[0] if by_steps else model(x)
        outputs = parts.sum(0, dtype=torch.float64)
        if by_steps:
            outputs = in_units(model, outputs)
    label = _most_probable(model.output, outputs) if label is None else label
    weights = evidence_weights(model.output, label).to(x.device)
    spread = _spread(model, label)
    by_channel, elsewhere, error = None, 0.0, 0.0
    if by_steps:
        evidence = spread * (parts @ weights.to(parts.dtype)).double().cpu().numpy()
    else:
        found = integrated_gradients(model, x, target=weights)
        by_channel = found.values[0].double().cpu().numpy()
        evidence, elsewhere = by_channel.sum(1), float(found.at_baseline)
        error = float(found.error / (found.output - found.at_baseline).abs().clamp_min(1e-6))
    layer = meter.layers[0]
    return Explanation(
        outputs.cpu(),
        label,
        evidence,
        None if model.takes_tokens else by_channel,
        not by_steps,
        elsewhere,
        error,
        meter.shares()[0].cpu().numpy(),
        tuple(str(number) for number in range(1, len(meter.layers) + 1)),
        terms(layer),
        term_spans(layer),
    )


def _explain_ridge(model: MultiresRidge, x: Tensor, label: int | None) -> Explanation:
    parts = model.contributions(x)[0]
    outputs = in_units(model, parts.sum(0))
    label = _most_probable(model.output, outputs) if label is None else label
    weights = evidence_weights(model.output, label).to(x.device)
    by_scale = model.scale_evidence(x, weights)
    depth, taps = by_scale.shape[2], model.net.config["kernel_size"]
    return Explanation(
        outputs.cpu(),
        label,
        _spread(model, label) * (parts @ weights).cpu().numpy(),
        None,
        False,
        0.0,
        0.0,
        (by_scale[0] / by_scale.sum().clamp_min(1e-30)).cpu().numpy(),
        ("b", "a"),
        tuple(str(scale) for scale in range(1, depth + 1)),
        tuple(receptive_field(scale, taps) for scale in range(1, depth + 1)),
    )


def in_units(model: Any, outputs: Tensor) -> Tensor:
    """Return outputs of the head in the units of the model's outputs: logits as they are, values with their scale."""
    if model.output.kind != "value":
        return outputs
    scale = model.target_standardise
    return outputs * scale.std.double() + scale.mean.double()


def _spread(model: Any, label: int) -> float:
    return float(model.target_standardise.std[label]) if model.output.kind == "value" else 1.0


def _most_probable(output: Output, outputs: Tensor) -> int:
    return 0 if output.kind == "value" else int(output.probabilities(outputs).argmax())


def evidence_weights(output: Output, label: int) -> Tensor:
    """Return the weights (C,) float64 of the logits in the evidence for a label.

    Labels: the logit of the label, which is its log odds. Classes: the logit of the class minus the mean logit of the
    other classes; for two classes this is the log odds. A number added to all logits changes no probability, nor this.
    Values: the value, whose evidence adds up to its difference from the mean of the training targets.
    """
    count = len(output.names)
    weights = torch.zeros(count, dtype=torch.float64)
    if output.kind == "class" and count > 1:
        weights -= 1 / (count - 1)
    weights[label] = 1
    return weights


def strongest_stretches(evidence: Values, most: int = 5) -> list[Stretch]:
    """Return the stretches of one sign with the largest `|sum|`, the strongest first.

    All stretches together cover the steps once, so their sums add up to the whole evidence.
    """
    starts = np.flatnonzero(np.diff(np.sign(evidence), prepend=np.nan) != 0)
    sums = np.add.reduceat(evidence, starts)
    stops = np.append(starts[1:], len(evidence))
    order = np.argsort(-np.abs(sums), kind="stable")[:most]
    return [Stretch(int(starts[i]), int(stops[i]), float(sums[i])) for i in order]
