"""A block as one PyTorch operator on the CPU: convolution, GELU, linear map, GLU, residual sum, layer norm.

The elements of a batch go through all of it one by one, short ones in packs, each thread with its own, so that what is
between two steps stays in the cache: of a whole batch it would go to memory and back. The linear map is PyTorch's
matrix product.
Inside, sequences are (B, D, L), which suits every step; blocks hand them on transposed, without a copy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multiresconv.ops.cpu import _array, _filters, _no_second_derivative, _patterns, _work
from multiresconv.ops.cpu_memory import empty
from multiresconv.ops.direct import direct
from multiresconv.ops.packing import Pack, packs
from multiresconv.ops.threads import parallel, share, threads_for


def block_cpu(
    x: Tensor,
    conv: tuple[Tensor, Tensor, Tensor],
    memory: tuple[int, ...],
    mix: tuple[Tensor, Tensor],
    scales: tuple[Tensor, Tensor],
    norm: tuple[Tensor, Tensor, float] | None,
    dtype: torch.dtype,
    lengths: Tensor | None,
) -> Tensor:
    """norm(x + s_2 * GLU(linear(s_1 * GELU(multires_conv(x))))): x (B, L, D) -> (B, L, D); differentiable once.

    Args:
        x: (B, L, D), float32 or float64.
        conv: h0 (D, K), h1 (D, K) and w of `multires_conv`.
        memory: (m_J, ..., m_1).
        mix: weight (2D, D) and bias (2D,) of the linear map.
        scales: s_1 and s_2 (B, D), what dropout multiplies the channels with; they get no gradient.
        norm: weight (D,), bias (D,) and epsilon of a layer norm, or None for none.
        dtype: of the linear map: that of x, or bfloat16 where x is float32. All else has the dtype of x.
        lengths: (B,) integers in 1..L, how many steps of each element are valid, or None for all. No time is spent on
            the others: they come out as 0, and so does their gradient.
    """
    weight, bias, eps = norm or (None, None, 0.0)
    half, keep = dtype == torch.bfloat16, torch.is_grad_enabled()
    tensors = (x.transpose(1, 2), *conv)
    others = (*mix, *scales, weight, bias)
    run = _Block.apply if direct(*tensors, *others, lengths) else torch.ops.multiresconv.block.default
    y, *_ = run(*tensors, memory, *others, eps, lengths, half, keep)
    return y.transpose(1, 2)


torch.library.define(
    "multiresconv::block",
    "(Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory, Tensor mix_weight, Tensor mix_bias, Tensor scale_1, "
    "Tensor scale_2, Tensor? weight, Tensor? bias, float eps, Tensor? lengths, bool half, bool keep) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
)
torch.library.define(
    "multiresconv::block_backward",
    "(Tensor grad, Tensor g, Tensor m, Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory, Tensor mix_weight, "
    "Tensor mix_bias, Tensor scale_1, Tensor scale_2, Tensor? weight, float eps, Tensor? lengths, "
    "Tensor threads) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)

# Calls a kernel with its arguments on `units` of `work` multiply-adds in all: here, or on several threads.
Call = Callable[[Callable[..., None], int, int, list[Any]], None]


def _forward(
    x: Tensor,
    h0: Tensor,
    h1: Tensor,
    w: Tensor,
    memory: Sequence[int],
    mix_weight: Tensor,
    mix_bias: Tensor,
    scale_1: Tensor,
    scale_2: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    lengths: Tensor | None,
    half: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The output, and what backward needs beside the arguments: the linear map's input and output, both in packs, or
    nothing, and the number of threads that the packs are for."""
    from multiresconv.ops import block_kernels as kernels
    from multiresconv.ops.cpu_kernels import GROUP

    channels, dtype = x.shape[1], torch.bfloat16 if half else x.dtype
    threads = threads_for(2 * (_work(x, h0, w) + (2 * channels + 96) * x.numel()))
    shares = _shares(x, lengths, threads)
    most = max((pack.steps for share in shares for pack in share), default=0)
    room = len(x) * x.shape[2] if keep else len(shares) * most
    out, g, m = empty(x.shape, x.dtype), empty((room * channels,), dtype), empty((room * 2 * channels,), dtype)
    linear, work = mix_weight.to(dtype), _work(x[:1, :, :1], h0, w)
    x_, out_, g_, m_, s_1, s_2 = (_bits(t) for t in (x, out, g, m, scale_1, scale_2))
    patterns, filters, mix_bias_ = _patterns(x, h0, GROUP), _filters(h0, h1, w, memory), _array(mix_bias)
    if weight is None or bias is None:
        tail, norm = kernels.glu_residual, []
    else:
        tail, norm = kernels.glu_residual_norm, [_array(weight), _array(bias), _scalar(eps, x)]

    def run(pack: Pack, slot: int, call: Call) -> None:
        def columns(flat: Any, rows: int) -> Any:
            return _columns(flat, rows, pack.start if keep else slot * most, pack.steps)

        rows, layout = len(pack.elements) * channels, [pack.elements, pack.offsets]
        inputs = [*patterns, x_, columns(g_, channels), *filters, s_1, *layout]
        call(kernels.conv_gelu, rows, work * pack.steps, inputs)
        torch.mm(linear, columns(g, channels), out=columns(m, 2 * channels))
        inputs = [columns(m_, 2 * channels), mix_bias_, x_, out_, s_2, *norm, *layout]
        call(tail, _units(pack) if norm else rows, 96 * channels * pack.steps, inputs)

    _each(shares, run)
    kept = (g, m) if keep else (x.new_empty(0), x.new_empty(0))
    return out, *kept, torch.tensor(threads)


def _backward(
    grad: Tensor,
    g: Tensor,
    m: Tensor,
    x: Tensor,
    h0: Tensor,
    h1: Tensor,
    w: Tensor,
    memory: Sequence[int],
    mix_weight: Tensor,
    mix_bias: Tensor,
    scale_1: Tensor,
    scale_2: Tensor,
    weight: Tensor | None,
    eps: float,
    lengths: Tensor | None,
    threads: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, h0, h1, w, the linear map's weight and bias, and the norm's (empty without one)."""
    from multiresconv.ops import block_kernels as kernels
    from multiresconv.ops.cpu_kernels import GROUP

    batch, channels = x.shape[:2]
    shares = _shares(x, lengths, int(threads))
    most = max((pack.steps for share in shares for pack in share), default=0)
    room = len(shares) * most
    grad_x = empty(x.shape, x.dtype)
    grad_g, grad_m = empty((room * channels,), m.dtype), empty((room * 2 * channels,), m.dtype)
    grad_linear = torch.zeros(len(shares), 2 * channels, channels, dtype=x.dtype)
    linear, work = mix_weight.t().to(m.dtype), 4 * _work(x[:1, :, :1], h0, w)
    x_, grad_, grad_x_, m_, grad_m_, grad_g_ = (_bits(t) for t in (x, grad, grad_x, m, grad_m, grad_g))
    s_1, s_2, mix_bias_ = _array(scale_1), _array(scale_2), _array(mix_bias)
    patterns, filters = _patterns(x, h0, GROUP), _filters(h0, h1, w, memory)
    # Sums of each (element, channel) or (element, unit), added up below in a fixed order.
    conv_sums = np.empty((batch, channels, 2 * h0.shape[1] + w.shape[1]))
    if weight is None:
        tail, norm, sums = kernels.glu_residual_backward, [], np.zeros((batch, 2 * channels))
    else:
        tail, norm = kernels.glu_residual_norm_backward, [_array(weight), _scalar(eps, x)]
        sums = np.zeros((batch, -(-x.shape[2] // kernels.STEPS), 4 * channels))

    def run(pack: Pack, slot: int, call: Call) -> None:
        def columns(flat: Any, rows: int, start: int = slot * most) -> Any:
            return _columns(flat, rows, start, pack.steps)

        rows, layout = len(pack.elements) * channels, [pack.elements, pack.offsets]
        inputs = [columns(m_, 2 * channels, pack.start), mix_bias_, *([x_] if norm else []), grad_]
        inputs += [columns(grad_m_, 2 * channels), grad_x_, s_2, *norm, sums, *layout]
        call(tail, _units(pack) if norm else rows, 192 * channels * pack.steps, inputs)
        to_m, of_g = columns(grad_m, 2 * channels), columns(g, channels, pack.start)
        torch.mm(linear, to_m, out=columns(grad_g, channels))
        if m.dtype == x.dtype:
            grad_linear[slot].addmm_(to_m, of_g.t())
        else:  # sums of bfloat16 products are kept in float32
            grad_linear[slot].add_(torch.mm(to_m, of_g.t()))
        inputs = [*patterns, x_, columns(grad_g_, channels), grad_x_, *filters, s_1, conv_sums, *layout]
        call(kernels.conv_gelu_backward, rows, work * pack.steps, inputs)

    _each(shares, run)
    total = torch.from_numpy(conv_sums.sum(axis=0)).to(x.dtype)
    grad_h0, grad_h1, grad_w = total.split([h0.shape[1], h0.shape[1], w.shape[1]], dim=1)
    of_biases = np.split(sums.reshape(-1, sums.shape[-1]).sum(axis=0), [2 * channels, 3 * channels])
    # Clones, because what an operator returns must share no memory.
    others = (grad_w, *(torch.from_numpy(t).to(x.dtype) for t in of_biases))
    grad_w, grad_mix_bias, grad_weight, grad_bias = (t.clone(memory_format=torch.contiguous_format) for t in others)
    return grad_x, grad_h0.flip(1), grad_h1.flip(1), grad_w, grad_linear.sum(0), grad_mix_bias, grad_weight, grad_bias


def _shares(x: Tensor, lengths: Tensor | None, threads: int) -> list[list[Pack]]:
    batch, channels, length = x.shape
    return packs((length,) * batch if lengths is None else tuple(lengths.tolist()), channels, threads)


def _columns(flat: Any, rows: int, start: int, steps: int) -> Any:
    """(rows, steps) of a tensor or an array of such packs one after the other, behind `start` steps."""
    return flat[rows * start : rows * (start + steps)].reshape(rows, steps)


def _units(pack: Pack) -> int:
    """Into how many units the kernels of a layer norm divide a pack."""
    from multiresconv.ops.block_kernels import STEPS

    return len(pack.elements) * -(-pack.longest // STEPS)


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


torch.library.impl("multiresconv::block", "cpu", _forward)
torch.library.impl("multiresconv::block_backward", "cpu", _backward)


@torch.library.register_fake("multiresconv::block")
def _(x: Tensor, *args: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    half, keep = args[-2:]
    dtype = torch.bfloat16 if half and keep else x.dtype
    g, m = (x.new_empty(size * x.numel() if keep else 0, dtype=dtype) for size in (1, 2))
    return x.new_empty(x.shape), g, m, x.new_empty((), dtype=torch.int64)


@torch.library.register_fake("multiresconv::block_backward")
def _(grad: Tensor, g: Tensor, m: Tensor, x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    h0, h1, w, _, mix_weight, mix_bias, _, _, weight, _, _, _ = args
    norm = [x.new_empty(0 if weight is None else x.shape[1]) for _ in range(2)]
    return *(t.new_empty(t.shape) for t in (x, h0, h1, w, mix_weight, mix_bias)), *norm


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, h0, h1, w, ctx.memory, mix_weight, mix_bias, scale_1, scale_2, weight, _, ctx.eps, lengths, _, _ = inputs
    ctx.set_materialize_grads(False)
    tensors = [x, h0, h1, w, mix_weight, mix_bias, scale_1, scale_2, weight, lengths]
    ctx.save_for_backward(*output[1:], *tensors)


def _gradients(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
    g, m, threads, x, h0, h1, w, mix_weight, mix_bias, scale_1, scale_2, weight, lengths = ctx.saved_tensors
    tensors = [g, m, x, h0, h1, w, ctx.memory, mix_weight, mix_bias, scale_1, scale_2, weight]
    once = direct(grad, g, x) and not torch.is_grad_enabled()
    run: Any = _backward if once else torch.ops.multiresconv.block_backward.default
    grads = run(grad, *tensors, ctx.eps, lengths, threads)
    norm = grads[6:] if weight is not None else (None, None)
    return *grads[:4], None, *grads[4:6], None, None, *norm, None, None, None, None


class _Block(torch.autograd.Function):
    """The operator, directly."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        output = _forward(*inputs)
        _save_for_backward(ctx, inputs, output)
        ctx.mark_non_differentiable(*output[1:])
        return output

    backward = staticmethod(_gradients)


torch.library.register_autograd("multiresconv::block", _gradients, setup_context=_save_for_backward)
torch.library.register_autograd("multiresconv::block_backward", _no_second_derivative)


def _bits(t: Tensor) -> np.ndarray:
    """t as the kernels see it: bfloat16, which NumPy lacks, as uint16."""
    return _array(t.view(torch.uint16) if t.dtype == torch.bfloat16 else t)


def _scalar(value: float, like: Tensor) -> Any:
    """`value` as a number of the dtype of `like`, so that it promotes nothing."""
    return np.array(value, _array(like[:0]).dtype)[()]
