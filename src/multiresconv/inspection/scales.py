"""Measure through which scales each layer of a model answers given sequences."""

from collections.abc import Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from multiresconv.layers import MultiresLayer, check_lengths, reverse_steps, valid_steps
from multiresconv.layers.lengths import Lengths


class ScaleMeter:
    """Measures the energy of each scale in each layer while a model computes, as a context manager.

    The output of a layer is a sum of terms u (see `multires_conv`), over all channels d and valid steps n::

        y = u_x + u_b1 + ... + u_bJ + u_aJ
        u_x[d, n] = w_x[d] * x[d, n]    u_aJ[d, n] = w_a[d] * a_J[d, n]
        u_bj[d, n] = sum_{t<m_j} w_{j,t}[d] * b_j[d, n - t*2^j]
        energy of term k = E_k = sum_{d,n} u_k[d, n]^2
        share of term k = E_k / sum_i E_i

    A bidirectional layer adds its two directions before they are squared. The terms are correlated, so the energy of y
    is not the sum of theirs. A constant input counts too: it lives in u_x and u_aJ.

    In the context, call the model once for a batch of whole sequences, or several times for consecutive chunks. Its
    blocks do not run as fused kernels meanwhile.

    Args:
        model: any model in which each `MultiresLayer` runs once per call; all layers have one depth.
        lengths: (B,) valid steps of each sequence; None if all are valid.

    Attributes:
        layers: the modules `MultiresLayer` of the model, from input to output.

    Raises:
        ValueError: the model has no `MultiresLayer`, or layers of several depths.

    Example:
        >>> with ScaleMeter(model) as meter:
        ...     logits = model(x)
        >>> meter.shares().shape  # (B, n_layers, J + 2), in the order x, b_1, ..., b_J, a_J
        torch.Size([8, 2, 12])
    """

    def __init__(self, model: nn.Module, lengths: Lengths | None = None) -> None:
        self.layers = [module for module in model.modules() if isinstance(module, MultiresLayer)]
        depths = sorted({layer.depth for layer in self.layers})
        if len(depths) != 1:
            found = f"layers of the depths {', '.join(map(str, depths))}" if depths else "none"
            raise ValueError(f"model: expected layers of MultiresLayer, all of one depth, got {found}")
        self._lengths = lengths
        self._energies: list[Tensor | None] = [None] * len(self.layers)
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        for number, layer in enumerate(self.layers):
            streams = [TermStream(*direction, layer.memory) for direction in layer.directions]
            self._hooks.append(layer.register_forward_hook(partial(self._measure, number, streams)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._hooks:
            self._hooks.pop().remove()

    def shares(self) -> Tensor:
        """Return the share of each term in the energy of each layer: (B, n_layers, J + 2) float64.

        The terms are ordered x, b_1, ..., b_J, a_J. The shares of a layer sum to 1, or are all 0 if it has no output.

        Raises:
            RuntimeError: the model has not been called yet.
        """
        known = [energies for energies in self._energies if energies is not None]
        if len(known) < len(self.layers):
            raise RuntimeError("shares: nothing was measured; call the model within the context first")
        energies = torch.stack(known, 1)
        totals = energies.sum(2, keepdim=True)
        return energies / totals.where(totals > 0, 1)

    @torch.no_grad()
    def _measure(self, number: int, streams: list["TermStream"], _: nn.Module, given: tuple[Any, ...], __: Any) -> None:
        """Add the energies (B, J + 2) of a layer's terms for its next input."""
        x: Tensor = given[0]
        lengths = None if self._lengths is None else check_lengths(self._lengths, x)
        energies = []
        inputs = [x, reverse_steps(x, lengths)] if len(streams) == 2 else [x]
        for forward, *reverse in zip(*map(TermStream.advance, streams, inputs), strict=True):
            u = forward + reverse_steps(reverse[0], lengths) if reverse else forward
            u = u if lengths is None else u.where(valid_steps(lengths, x.shape[1]), 0)
            energies.append(u.square().sum((1, 2), dtype=torch.float64))
        before = self._energies[number]
        self._energies[number] = torch.stack(energies, 1) + (0 if before is None else before)


class TermStream:
    """Computes the terms of the operator's output one after the other, for consecutive chunks of a sequence.

    Args:
        h0, h1, w, memory: as in `multires_conv`; (D, K), (D, K) and (D, 1 + sum(memory) + 1).
    """

    def __init__(self, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> None:
        dtype = torch.promote_types(w.dtype, torch.float32)
        self._h0, self._h1, self._w = (t.detach().to(dtype) for t in (h0, h1, w))
        self._memory = tuple(memory)
        self._past: dict[tuple[str, int], Tensor] = {}

    def advance(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the terms u_x, u_b1, ..., u_bJ, u_aJ, each (B, n, D), of the next chunk x (B, n, D)."""
        a, w = x.to(self._w.dtype).transpose(1, 2).contiguous(), self._w
        yield (w[:, -1:] * a).transpose(1, 2)
        stop = w.shape[1] - 1
        for scale, kept in enumerate(reversed(self._memory), start=1):
            b, a = self._filter(("a", scale), a, 2 ** (scale - 1), self._h1, self._h0)
            (u,) = self._filter(("b", scale), b, 2**scale, w[:, stop - kept : stop].flip(1))
            stop -= kept
            yield u.transpose(1, 2)
        yield (w[:, :1] * a).transpose(1, 2)

    def _filter(self, name: tuple[str, int], values: Tensor, step: int, *filters: Tensor) -> list[Tensor]:
        """Apply dilated causal filters (D, K) of one size to a chunk (B, D, n) and what came before it."""
        past, count = self._past.get(name, values[:, :, :0]), values.shape[2]
        line, before = torch.cat([past, values], 2), past.shape[2]
        reach = (filters[0].shape[1] - 1) * step
        self._past[name] = line[:, :, line.shape[2] - min(reach, line.shape[2]) :].clone() if reach > 0 else past
        outputs = []
        for taps in filters:
            output = torch.zeros_like(values)
            for lag, tap in enumerate(taps.flip(1).unbind(1)):
                first = max(lag * step - before, 0)  # earlier steps of the chunk look back beyond the start
                if first < count:
                    start = before + first - lag * step
                    output[:, :, first:].addcmul_(tap[:, None], line[:, :, start : start + count - first])
            outputs.append(output)
        return outputs
