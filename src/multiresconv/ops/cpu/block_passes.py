"""Forward and backward of a block, pack by pack; what is computed is said in `block_cpu`.

The elements of a batch go through all of it one by one, short ones in packs, each thread with its own, so that what is
between two steps stays in the cache: of a whole batch it would go to memory and back. Linear maps are PyTorch's matrix
products.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multiresconv.ops.cpu.buffers import empty
from multiresconv.ops.cpu.operator import _array, _filters, _patterns, _work
from multiresconv.ops.cpu.packing import Pack, packs
from multiresconv.ops.cpu.threads import parallel, share, threads_for

# Calls a kernel with its arguments on `units` of `work` multiply-adds in all: here, or on several threads.
Call = Callable[[Callable[..., None], int, int, list[Any]], None]


def forward_block(
    x: Tensor,
    h0: Tensor,
    h1: Tensor,
    w: Tensor,
    memory: Sequence[int],
    mix_weight: Tensor,
    mix_bias: Tensor,
    scale_1: Tensor,
    scale_2: Tensor,
    projection_weight: Tensor | None,
    projection_bias: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    lengths: Tensor | None,
    half: bool,
    keep: bool,
) -> tuple[Tensor, ...]:
    """The output, and what backward needs beside the arguments, or nothing of it: the linear map's input and output and
    the projection's output, all in packs, and the number of threads that the packs are for."""
    from multiresconv.ops.cpu.kernels import block as kernels
    from multiresconv.ops.cpu.kernels import conv_gelu as conv_gelu_kernels
    from multiresconv.ops.cpu.kernels.operator import GROUP

    channels, dtype = x.shape[1], torch.bfloat16 if half else x.dtype
    threads = threads_for(2 * (_work(x, h0, w) + (2 * channels + 96) * x.numel()))
    shares = _shares(x, lengths, threads)
    most = max((pack.steps for share in shares for pack in share), default=0)
    numbers = channels * (len(x) * x.shape[2] if keep else len(shares) * most)
    out, g, m = empty(x.shape, x.dtype), empty((numbers,), dtype), empty((2 * numbers,), dtype)
    r, p = (
        empty((0 if projection_weight is None else size,), dtype) for size in (numbers, len(shares) * most * channels)
    )
    linear, work = mix_weight.to(dtype), _work(x[:1, :, :1], h0, w)
    x_, out_, g_, m_, r_, p_, s_1, s_2 = (_bits(t) for t in (x, out, g, m, r, p, scale_1, scale_2))
    patterns, filters, mix_bias_ = _patterns(x, h0, memory, GROUP), _filters(h0, h1, w, memory), _array(mix_bias)
    norm = [] if weight is None or bias is None else [_array(weight), _array(bias), _scalar(eps, x)]
    tail = kernels.residual_norm if norm else kernels.residual
    second = None if projection_weight is None else projection_weight.to(dtype)
    branch_bias = mix_bias_ if projection_bias is None else _array(projection_bias)

    def run(pack: Pack, slot: int, call: Call) -> None:
        def columns(flat: Any, rows: int, start: int = pack.start if keep else slot * most) -> Any:
            return _columns(flat, rows, start, pack.steps)

        rows, layout, work_each = len(pack.elements) * channels, [pack.elements, pack.offsets], channels * pack.steps
        inputs = [*patterns, x_, columns(g_, channels), *filters, s_1, *layout]
        call(conv_gelu_kernels.conv_gelu, _groups(pack) * channels, work * pack.steps, inputs)
        torch.mm(linear, columns(g, channels), out=columns(m, 2 * channels))
        branch, scale = columns(m_, 2 * channels), s_2
        if second is not None:
            inputs = [branch, mix_bias_, columns(p_, channels, slot * most), s_2, *layout]
            call(kernels.gated, rows, 96 * work_each, inputs)
            torch.mm(second, columns(p, channels, slot * most), out=columns(r, channels))
            branch, scale = columns(r_, channels), None
        units = _units(pack) if norm else rows
        call(tail, units, 96 * work_each, [branch, branch_bias, x_, out_, scale, *norm, *layout])

    _each(shares, run)
    kept = (g, m, r) if keep else tuple(x.new_empty(0) for _ in range(3))
    return out, *kept, torch.tensor(threads)


def backward_block(
    grad: Tensor,
    g: Tensor,
    m: Tensor,
    r: Tensor,
    threads: Tensor,
    x: Tensor,
    h0: Tensor,
    h1: Tensor,
    w: Tensor,
    memory: Sequence[int],
    mix_weight: Tensor,
    mix_bias: Tensor,
    scale_1: Tensor,
    scale_2: Tensor,
    projection_weight: Tensor | None,
    projection_bias: Tensor | None,
    weight: Tensor | None,
    eps: float,
    lengths: Tensor | None,
) -> tuple[Tensor, ...]:
    """Gradients of x, h0, h1, w, then weight and bias of linear map, projection and norm, empty where there is none."""
    from multiresconv.ops.cpu.kernels import block as kernels
    from multiresconv.ops.cpu.kernels import conv_gelu as conv_gelu_kernels
    from multiresconv.ops.cpu.kernels.operator import GROUP

    batch, channels = x.shape[:2]
    shares = _shares(x, lengths, int(threads))
    most = max((pack.steps for share in shares for pack in share), default=0)
    numbers = len(shares) * most * channels
    grad_x = empty(x.shape, x.dtype)
    grad_g, grad_m = empty((numbers,), m.dtype), empty((2 * numbers,), m.dtype)
    p, grad_p, grad_r = (empty((0 if projection_weight is None else numbers,), m.dtype) for _ in range(3))
    grad_linear = torch.zeros(len(shares), 2 * channels, channels, dtype=x.dtype)
    grad_second = torch.zeros(
        len(shares), *([0, 0] if projection_weight is None else [channels, channels]), dtype=x.dtype
    )
    linear, work = mix_weight.t().to(m.dtype), 4 * _work(x[:1, :, :1], h0, w)
    second = None if projection_weight is None else projection_weight.t().to(m.dtype)
    x_, grad_, grad_x_, m_, r_, grad_m_, grad_g_ = (_bits(t) for t in (x, grad, grad_x, m, r, grad_m, grad_g))
    p_, grad_p_, grad_r_, s_1, s_2 = (_bits(t) for t in (p, grad_p, grad_r, scale_1, scale_2))
    mix_bias_ = _array(mix_bias)
    branch_bias = mix_bias_ if projection_bias is None else _array(projection_bias)
    patterns, filters = _patterns(x, h0, memory, GROUP), _filters(h0, h1, w, memory)
    # Sums of each (element, channel) or (element, unit), added up below in a fixed order.
    conv_sums = np.zeros((batch, channels, 2 * h0.shape[1] + w.shape[1]))
    gate_sums = np.zeros((batch, 2 * channels))
    if weight is None:
        tail, norm, sums = kernels.residual_backward, [], np.zeros((batch, 2 * channels))
    else:
        tail, norm = kernels.residual_norm_backward, [_array(weight), _scalar(eps, x)]
        sums = np.zeros((batch, -(-x.shape[2] // kernels.STEPS), 4 * channels))

    def run(pack: Pack, slot: int, call: Call) -> None:
        def columns(flat: Any, rows: int, start: int = slot * most) -> Any:
            return _columns(flat, rows, start, pack.steps)

        def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
            if m.dtype == x.dtype:
                total.addmm_(left, right.t())
            else:  # sums of bfloat16 products are kept in float32
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
            call(kernels.gated, rows, 96 * work_each, [m_pack, mix_bias_, columns(p_, channels), s_2, *layout])
            add_product(grad_second[slot], to_r, p_pack)
            torch.mm(second, to_r, out=columns(grad_p, channels))
            inputs = [m_pack, mix_bias_, columns(grad_p_, channels), to_m_, s_2, gate_sums, *layout]
            call(kernels.gated_backward, rows, 96 * work_each, inputs)
        to_m = columns(grad_m, 2 * channels)
        torch.mm(linear, to_m, out=columns(grad_g, channels))
        add_product(grad_linear[slot], to_m, columns(g, channels, pack.start))
        inputs = [*patterns, x_, columns(grad_g_, channels), grad_x_, *filters, s_1, conv_sums, *layout]
        call(conv_gelu_kernels.conv_gelu_backward, _groups(pack) * channels, work * pack.steps, inputs)

    _each(shares, run)
    total = torch.from_numpy(conv_sums.sum(axis=0)).to(x.dtype)
    grad_h0, grad_h1, grad_w = total.split([h0.shape[1], h0.shape[1], w.shape[1]], dim=1)
    of_branch, of_weight, of_bias = np.split(sums.reshape(-1, sums.shape[-1]).sum(axis=0), [2 * channels, 3 * channels])
    of_mix, of_second = of_branch, of_branch[:0]
    if second is not None:
        of_mix, of_second = gate_sums.sum(axis=0), of_branch[:channels]
    # Clones, because what an operator returns must share no memory.
    others = (grad_w, *(torch.from_numpy(t).to(x.dtype) for t in (of_mix, of_second, of_weight, of_bias)))
    grad_w, grad_mix_bias, *of_others = (t.clone(memory_format=torch.contiguous_format) for t in others)
    of_maps = grad_linear.sum(0), grad_mix_bias, grad_second.sum(0), of_others[0]
    return grad_x, grad_h0.flip(1), grad_h1.flip(1), grad_w, *of_maps, *of_others[1:]


def _shares(x: Tensor, lengths: Tensor | None, threads: int) -> list[list[Pack]]:
    batch, channels, length = x.shape
    return packs((length,) * batch if lengths is None else tuple(lengths.tolist()), channels, threads)


def _columns(flat: Any, rows: int, start: int, steps: int) -> Any:
    """(rows, steps) of a tensor or an array of such packs one after the other, behind `start` steps."""
    return flat[rows * start : rows * (start + steps)].reshape(rows, steps)


def _units(pack: Pack) -> int:
    """Into how many units the kernels of a layer norm divide a pack."""
    from multiresconv.ops.cpu.kernels.block import STEPS

    return len(pack.elements) * -(-pack.longest // STEPS)


def _groups(pack: Pack) -> int:
    """How many groups of elements the kernels of the operator make of a pack."""
    from multiresconv.ops.cpu.kernels.conv_gelu import SHORT
    from multiresconv.ops.cpu.kernels.operator import BLOCK

    return -(-len(pack.elements) // BLOCK) if pack.longest <= SHORT else len(pack.elements)


def _each(shares: list[list[Pack]], run: Callable[[Pack, int, Call], None]) -> None:
    """`run(pack, slot, call)` for every pack of every share, slot being the number of the share."""

    def call_here(kernel: Callable[..., None], units: int, work: int, args: list[Any]) -> None:
        kernel(*args, 0, units)

    def run_all(slot: int, call: Call) -> None:
        # Autocast and what autograd keeps are settings of a thread, and none of them is for what happens here.
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            for pack in shares[slot]:
                run(pack, slot, call)

    alone = len(shares) - 1
    share(lambda slot: run_all(slot, call_here), alone, alone)
    if shares[alone]:
        run_all(alone, parallel)


def _bits(t: Tensor) -> np.ndarray:
    """t as the kernels see it: bfloat16, which NumPy lacks, as uint16."""
    return _array(t.view(torch.uint16) if t.dtype == torch.bfloat16 else t)


def _scalar(value: float, like: Tensor) -> Any:
    """`value` as a number of the dtype of `like`, so that it promotes nothing."""
    return np.array(value, _array(like[:0]).dtype)[()]
