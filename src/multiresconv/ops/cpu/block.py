"""Forward and backward of a block, pack by pack; `multires_block` gives the formula.

Each thread takes one pack of elements at a time through the whole block, so that intermediate results stay in its
cache. Those of a whole batch would go to main memory and back. Linear maps use PyTorch's matrix products.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from multiresconv.ops.block import BlockParameters
from multiresconv.ops.cpu.arrays import array, bits, filters, parameter_gradients, patterns, scalar
from multiresconv.ops.cpu.buffers import empty
from multiresconv.ops.cpu.packing import Pack, packs
from multiresconv.ops.cpu.threads import parallel, share, threads_for

# call(kernel, units, work, args) runs a kernel over range(units), on this thread or on several; see `parallel`.
Call = Callable[[Callable[..., None], int, int, list[Any]], None]


class Kept(NamedTuple):
    """Intermediate results that backward needs beside the arguments of forward; empty if backward is not needed.

    Attributes:
        g: inputs of the first linear map, D rows for each pack.
        m: outputs of the first linear map, 2D rows for each pack.
        r: outputs of the projection, D rows for each pack; empty without a projection.
        threads: () the number of threads that the packs were made for.
    """

    g: Tensor
    m: Tensor
    r: Tensor
    threads: Tensor


def forward(
    x: Tensor,
    parameters: BlockParameters,
    scales: tuple[Tensor, Tensor],
    lengths: Tensor | None,
    dtype: torch.dtype,
    keep: bool,
) -> tuple[Tensor, Kept]:
    """Return the output of `multires_block` as (B, D, L), like x here, and what backward needs if `keep`."""
    from multiresconv.ops.cpu.kernels import block as kernels
    from multiresconv.ops.cpu.kernels import conv_gelu as conv_gelu_kernels

    conv, projection, channels = _Convolutions(x, parameters), parameters.projection, x.shape[1]
    threads = threads_for(2 * x.numel() * (conv.work + 2 * channels + 96))
    shares = _shares(x, lengths, threads)
    most = max((pack.steps for share in shares for pack in share), default=0)
    numbers = channels * (len(x) * x.shape[2] if keep else len(shares) * most)
    out, g, m = empty(x.shape, x.dtype), empty((numbers,), dtype), empty((2 * numbers,), dtype)
    r, p = (empty((0 if projection is None else size,), dtype) for size in (numbers, len(shares) * most * channels))
    linear, mix_bias = parameters.mix[0].to(dtype), array(parameters.mix[1])
    x_, out_, g_, m_, r_, p_, s_1, s_2 = (bits(t) for t in (x, out, g, m, r, p, *scales))
    norm = [] if parameters.norm is None else [*map(array, parameters.norm), scalar(parameters.eps, x)]
    tail = kernels.residual_norm if norm else kernels.residual
    second = None if projection is None else projection[0].to(dtype)
    branch_bias = mix_bias if projection is None else array(projection[1])

    def run(pack: Pack, slot: int, call: Call) -> None:
        def columns(flat: Any, rows: int, start: int = pack.start if keep else slot * most) -> Any:
            return _columns(flat, rows, start, pack.steps)

        rows, layout, work_each = len(pack.elements) * channels, [pack.elements, pack.offsets], channels * pack.steps
        inputs = [*conv.patterns, x_, columns(g_, channels), *conv.filters, s_1, *layout]
        call(conv_gelu_kernels.conv_gelu, _groups(pack) * channels, conv.work * work_each, inputs)
        torch.mm(linear, columns(g, channels), out=columns(m, 2 * channels))
        branch, scale = columns(m_, 2 * channels), s_2
        if second is not None:
            inputs = [branch, mix_bias, columns(p_, channels, slot * most), s_2, *layout]
            call(kernels.gated, rows, 96 * work_each, inputs)
            torch.mm(second, columns(p, channels, slot * most), out=columns(r, channels))
            branch, scale = columns(r_, channels), None
        units = _units(pack) if norm else rows
        call(tail, units, 96 * work_each, [branch, branch_bias, x_, out_, scale, *norm, *layout])

    _run_packs(shares, run)
    kept = Kept(g, m, r, torch.tensor(threads, device="cpu"))
    return out, kept if keep else Kept(x.new_empty(0), x.new_empty(0), x.new_empty(0), kept.threads)


def backward(
    grad: Tensor,
    kept: Kept,
    x: Tensor,
    parameters: BlockParameters,
    scales: tuple[Tensor, Tensor],
    lengths: Tensor | None,
) -> tuple[Tensor, BlockParameters]:
    """Return the gradient of x and a `BlockParameters` of the parameters' gradients."""
    from multiresconv.ops.cpu.kernels import block as kernels
    from multiresconv.ops.cpu.kernels import conv_gelu as conv_gelu_kernels

    g, m, r, threads = kept
    conv, projection = _Convolutions(x, parameters), parameters.projection
    batch, channels = x.shape[:2]
    shares = _shares(x, lengths, int(threads))
    most = max((pack.steps for share in shares for pack in share), default=0)
    numbers = len(shares) * most * channels
    grad_x = empty(x.shape, x.dtype)
    grad_g, grad_m = empty((numbers,), m.dtype), empty((2 * numbers,), m.dtype)
    p, grad_p, grad_r = (empty((0 if projection is None else numbers,), m.dtype) for _ in range(3))
    grad_linear = x.new_zeros(len(shares), 2 * channels, channels)
    grad_second = x.new_zeros(len(shares), *([0, 0] if projection is None else [channels, channels]))
    linear, mix_bias = parameters.mix[0].t().to(m.dtype), array(parameters.mix[1])
    second = None if projection is None else projection[0].t().to(m.dtype)
    x_, grad_, grad_x_, m_, r_, grad_m_, grad_g_ = (bits(t) for t in (x, grad, grad_x, m, r, grad_m, grad_g))
    p_, grad_p_, grad_r_, s_1, s_2 = (bits(t) for t in (p, grad_p, grad_r, *scales))
    branch_bias = mix_bias if projection is None else array(projection[1])
    # Parameter gradients of each (element, channel) or (element, unit), summed below in a fixed order.
    conv_sums = conv.sums(batch)
    gate_sums = np.zeros((batch, 2 * channels))
    if parameters.norm is None:
        tail, norm, sums = kernels.residual_backward, [], np.zeros((batch, 2 * channels))
    else:
        tail, norm = kernels.residual_norm_backward, [array(parameters.norm[0]), scalar(parameters.eps, x)]
        sums = np.zeros((batch, -(-x.shape[2] // kernels.STEPS), 4 * channels))

    def run(pack: Pack, slot: int, call: Call) -> None:
        def columns(flat: Any, rows: int, start: int = slot * most) -> Any:
            return _columns(flat, rows, start, pack.steps)

        def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
            if m.dtype == x.dtype:
                total.addmm_(left, right.t())
            else:  # bfloat16 products are summed in float32
                total.add_(torch.mm(left, right.t()))

        rows, layout, work_each = len(pack.elements) * channels, [pack.elements, pack.offsets], channels * pack.steps
        m_pack, to_m_ = columns(m_, 2 * channels, pack.start), columns(grad_m_, 2 * channels)
        branch, to_branch, scale = m_pack, to_m_, s_2
        if second is not None:
            branch, to_branch, scale = columns(r_, channels, pack.start), columns(grad_r_, channels), None
        inputs = [branch, branch_bias, *([x_] if norm else []), grad_, to_branch, grad_x_, scale, *norm, sums, *layout]
        call(tail, _units(pack) if norm else rows, 192 * work_each, inputs)
        if second is not None:
            p_pack, to_r = columns(p, channels), columns(grad_r, channels)
            call(kernels.gated, rows, 96 * work_each, [m_pack, mix_bias, columns(p_, channels), s_2, *layout])
            add_product(grad_second[slot], to_r, p_pack)
            torch.mm(second, to_r, out=columns(grad_p, channels))
            inputs = [m_pack, mix_bias, columns(grad_p_, channels), to_m_, s_2, gate_sums, *layout]
            call(kernels.gated_backward, rows, 96 * work_each, inputs)
        to_m = columns(grad_m, 2 * channels)
        torch.mm(linear, to_m, out=columns(grad_g, channels))
        add_product(grad_linear[slot], to_m, columns(g, channels, pack.start))
        inputs = [*conv.patterns, x_, columns(grad_g_, channels), grad_x_, *conv.filters, s_1, conv_sums, *layout]
        call(conv_gelu_kernels.conv_gelu_backward, _groups(pack) * channels, 4 * conv.work * work_each, inputs)

    _run_packs(shares, run)
    of_branch, *of_norm = np.split(sums.reshape(-1, sums.shape[-1]).sum(axis=0), [2 * channels, 3 * channels])
    of_mix = of_branch if projection is None else gate_sums.sum(axis=0)
    directions = conv.gradients(conv_sums, x.dtype)
    return grad_x, BlockParameters(
        directions[0],
        parameters.memory,
        (grad_linear.sum(0), _tensor(of_mix, x.dtype)),
        reverse=None if parameters.reverse is None else directions[1],
        projection=None if projection is None else (grad_second.sum(0), _tensor(of_branch[:channels], x.dtype)),
        norm=None if parameters.norm is None else (_tensor(of_norm[0], x.dtype), _tensor(of_norm[1], x.dtype)),
    )


class _Convolutions:
    """The block's one or two convolutions as the kernels take them: filters concatenated along the channels.

    `work` is the number of multiply-adds per number of x.
    """

    def __init__(self, x: Tensor, parameters: BlockParameters) -> None:
        from multiresconv.ops.cpu.kernels.operator import GROUP

        directions = [parameters.conv] if parameters.reverse is None else [parameters.conv, parameters.reverse]
        h0, h1, w = directions[0] if len(directions) == 1 else map(torch.cat, zip(*directions, strict=True))
        self.taps, self.width, self.channels = h0.shape[1], w.shape[1], x.shape[1]
        self.patterns = patterns(x.dtype, self.taps, parameters.memory, GROUP)
        self.filters = filters(h0, h1, w, parameters.memory)
        self.work = len(directions) * 2 * self.taps * self.width

    def sums(self, batch: int) -> np.ndarray:
        """Return zeros for the gradients of lo, hi and w: (B, number of filters, 2K + width of w)."""
        return np.zeros((batch, len(self.filters[0]), 2 * self.taps + self.width))

    def gradients(self, sums: np.ndarray, dtype: torch.dtype) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return the gradients of h0, h1 and w for each direction."""
        total = sums.sum(axis=0)
        return [
            parameter_gradients(total[first : first + self.channels], self.taps, dtype)
            for first in range(0, len(total), self.channels)
        ]


def _tensor(values: np.ndarray, dtype: torch.dtype) -> Tensor:
    # A clone, because the outputs of an operator must not share memory.
    return torch.from_numpy(values).to(dtype).clone()


def _shares(x: Tensor, lengths: Tensor | None, threads: int) -> list[list[Pack]]:
    batch, channels, length = x.shape
    return packs((length,) * batch if lengths is None else tuple(lengths.tolist()), channels, threads)


def _columns(flat: Any, rows: int, start: int, steps: int) -> Any:
    """Return the pack (rows, steps) that follows `start` steps in a flat tensor or array of concatenated packs."""
    return flat[rows * start : rows * (start + steps)].reshape(rows, steps)


def _units(pack: Pack) -> int:
    """Return the number of units of a pack for the layer norm kernels."""
    from multiresconv.ops.cpu.kernels.block import STEPS

    return len(pack.elements) * -(-pack.longest // STEPS)


def _groups(pack: Pack) -> int:
    """Return the number of groups of elements that `conv_gelu` makes of a pack."""
    from multiresconv.ops.cpu.kernels.conv_gelu import SHORT
    from multiresconv.ops.cpu.kernels.operator import BLOCK

    return -(-len(pack.elements) // BLOCK) if pack.longest <= SHORT else len(pack.elements)


def _run_packs(shares: list[list[Pack]], run: Callable[[Pack, int, Call], None]) -> None:
    """Call `run(pack, slot, call)` for every pack of every share; `slot` is the index of the share."""

    def call_here(kernel: Callable[..., None], units: int, work: int, args: list[Any]) -> None:
        kernel(*args, 0, units)

    def run_all(slot: int, call: Call) -> None:
        # Autograd and autocast are per-thread settings; both must be off here.
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            for pack in shares[slot]:
                run(pack, slot, call)

    alone = len(shares) - 1
    share(lambda slot: run_all(slot, call_here), alone, alone)
    if shares[alone]:
        run_all(alone, parallel)
