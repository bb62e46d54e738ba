"""Integrated gradients: how much each input value moves an output of a model."""

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from multiresconv.layers import check_lengths, valid_steps
from multiresconv.layers.lengths import Lengths
from multiresconv.models import SequenceModel

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)  # on -1..1; exact for polynomials up to degree 15
_TINY = torch.finfo(torch.float64).tiny  # avoids 0/0 where the output is 0 all along the path


class Attribution(NamedTuple):
    """Attributions of one output of each sequence.

    Attributes:
        values: (B, L, d_input), or (B, L, 1) for tokens; 0 at padded steps.
        output: (B,) the explained output.
        at_baseline: (B,) the same output if the input is the baseline.
        error: (B,) `|sum of values - (output - at_baseline)|`, the error of the numerical integral.
        evaluations: number of gradients that were computed.
    """

    values: Tensor
    output: Tensor
    at_baseline: Tensor
    error: Tensor
    evaluations: int


class _Piece(NamedTuple):
    """The integral over the part lower..upper of the path."""

    lower: float
    upper: float
    values: Tensor  # (B, L, D) as the path
    outputs: Tensor  # (n, B) at the ends, the first and the last, and at the nodes
    error: Tensor  # (B,)


def integrated_gradients(
    model: SequenceModel,
    x: Tensor,
    *,
    target: int | Tensor,
    lengths: Lengths | None = None,
    baseline: Tensor | None = None,
    tolerance: float = 0.01,
    most_evaluations: int = 512,
) -> Attribution:
    """Split the change of an output from a baseline input to x over the values of x (Sundararajan et al. 2017).

    With the output F, the input x and the baseline x'::

        values[i] = (x[i] - x'[i]) * integral_{0..1} dF/dx[i] (x' + a*(x - x')) da
        sum_i values[i] = F(x) - F(x')

    The second equation, completeness, also holds on every part of the path. So each part's error is known, and the part
    with the largest error is halved until the sum of all errors is within the tolerance. Tokens have no values between
    them; their path leads through the embedding vectors, and a token's value is the sum over its vector.

    Args:
        model: any model whose output is (B, n_outputs), in eval mode.
        x: (B, L, d_input) real, or (B, L) tokens, as in the model's `forward`.
        target: number of the output to explain, or weights (n_outputs,) of a sum of outputs.
        lengths: (B,) valid steps of each sequence; None if all are valid.
        baseline: input to compare with, which must expand to the shape of x. Default: the training mean of each
            channel, which is 0 after standardisation; for tokens the mean of all embedding vectors.
        tolerance: largest error, relative to the largest change of the output along the path.
        most_evaluations: number of gradients after which the integral is left as it is.

    Returns:
        See `Attribution`. Compare `error` with the difference of the outputs if `most_evaluations` was reached.

    Raises:
        RuntimeError: the model is in training mode.
        TypeError: x has the wrong dtype.
        ValueError: an argument is out of range or has the wrong shape.
    """
    if model.training:
        raise RuntimeError("model: expected one in eval mode, where sequences do not depend on each other; call eval()")
    if model.output.kind == "density":
        raise ValueError("model: expected one with outputs (batch, n_outputs), got a density model")
    if not tolerance > 0:
        raise ValueError(f"tolerance: expected a number above 0, got {tolerance}")
    model.net.check_input(x)
    counts = None if lengths is None else check_lengths(lengths, x)
    with torch.inference_mode(False), torch.enable_grad():
        start, change = _path(model, x.clone(), counts, baseline)

        def output(point: Tensor) -> Tensor:
            return _select(_outputs(model, x, point, counts), target)

        pieces = [_integrate(output, start, change, 0.0, 1.0)]
        first, last = pieces[0].outputs[0], pieces[0].outputs[-1]
        evaluations = len(_NODES)
        rounding = 64 * torch.finfo(start.dtype).eps
        while evaluations + 2 * len(_NODES) <= most_evaluations:
            seen = torch.cat([piece.outputs for piece in pieces])
            allowed = tolerance * (seen - first).abs().amax(0) + rounding * seen.abs().amax(0)
            errors = torch.stack([piece.error for piece in pieces]) / allowed.clamp_min(_TINY)
            if not (errors.sum(0) > 1).any():
                break
            worst = pieces.pop(int(errors.amax(1).argmax()))
            middle = (worst.lower + worst.upper) / 2
            pieces.append(_integrate(output, start, change, worst.lower, middle))
            pieces.append(_integrate(output, start, change, middle, worst.upper))
            evaluations += 2 * len(_NODES)
    values = torch.stack([piece.values for piece in pieces]).sum(0)
    if model.takes_tokens:
        values = values.sum(2, keepdim=True)
    error = (values.sum((1, 2), dtype=torch.float64) - (last - first)).abs()
    return Attribution(values, last, first, error, evaluations)


def _path(model: SequenceModel, x: Tensor, counts: Tensor | None, baseline: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return where the path starts, and the change along it (0 at padded steps); for tokens, of embedding vectors.

    Both are (B, L, d_input), or (B, L, d_model) for tokens.
    """
    net = model.net
    valid = None if counts is None else valid_steps(counts, x.shape[1])
    if valid is not None:
        x = x.where(valid if x.ndim == 3 else valid.squeeze(2), 0)
    try:
        given = None if baseline is None else baseline.to(x.device).expand(x.shape)
    except RuntimeError:
        raise ValueError(
            f"baseline: expected a shape that expands to {tuple(x.shape)}, got {tuple(cast(Tensor, baseline).shape)}"
        ) from None
    with torch.no_grad():
        if net.standardise is None:
            embedding = cast(nn.Embedding, net.encoder)
            end = embedding(x.long())
            start = embedding.weight.mean(0).expand(end.shape) if given is None else embedding(given.long())
        else:
            end = x.to(net.standardise.mean.dtype)
            start = net.standardise.mean.expand(end.shape) if given is None else given.to(end.dtype)
        change = end - start
        return start, change if valid is None else change.where(valid, 0)


def _outputs(model: SequenceModel, x: Tensor, point: Tensor, counts: Tensor | None) -> Tensor:
    """Compute the outputs (B, n_outputs) at a point of the path; for tokens, x only gives the shape."""
    if not model.takes_tokens:
        return cast(Tensor, model(point, counts))
    hook = model.net.encoder.register_forward_hook(lambda *_: point)
    try:
        return cast(Tensor, model(x, counts))
    finally:
        hook.remove()


def _select(outputs: Tensor, target: int | Tensor) -> Tensor:
    """Return the explained output (B,) in float64."""
    if outputs.ndim != 2:
        raise ValueError(f"model: expected outputs of shape (batch, n_outputs), got {tuple(outputs.shape)}")
    count = outputs.shape[1]
    if isinstance(target, Tensor):
        if target.shape != (count,):
            raise ValueError(f"target: expected weights of shape ({count},), got {tuple(target.shape)}")
        return outputs.double() @ target.to(outputs.device).double()
    if not 0 <= target < count:
        raise ValueError(f"target: expected an output of 0..{count - 1}, got {target}")
    return outputs[:, target].double()


def _integrate(output: Callable[[Tensor], Tensor], start: Tensor, change: Tensor, lower: float, upper: float) -> _Piece:
    """Integrate the gradient over the part lower..upper of the path by Gauss-Legendre quadrature."""
    values = torch.zeros_like(change)
    outputs = []
    for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
        place = lower + (upper - lower) * (node + 1) / 2
        point = (start + place * change).requires_grad_()
        y = output(point)
        (gradient,) = torch.autograd.grad(y.sum(), point)
        values += (upper - lower) * weight / 2 * gradient
        outputs.append(y.detach())
    with torch.no_grad():
        outputs = [output(start + lower * change), *outputs, output(start + upper * change)]
    values *= change
    total = values.sum((1, 2), dtype=torch.float64)
    return _Piece(lower, upper, values, torch.stack(outputs), (total - (outputs[-1] - outputs[0])).abs())
