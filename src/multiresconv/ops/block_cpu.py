"""A block as one PyTorch operator on the CPU: convolution, GELU, linear map, GLU, residual sum, layer norm.

The elements of a batch go through all of it one by one, each thread with its own, so that what is between two steps
stays in the cache: of a whole batch it would go to memory and back. The linear map is PyTorch's matrix product.
Inside, sequences are (B, D, L), which suits every step; blocks hand them on transposed, without a copy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multiresconv.ops.cpu import _array, _filters, _no_second_derivative, _patterns, _work
from multiresconv.ops.cpu_memory import empty
from multiresconv.ops.threads import _SERIAL_WORK, parallel, share


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
    run = torch.ops.multiresconv.block.default
    y, *_ = run(x.transpose(1, 2), *conv, memory, *mix, *scales, weight, bias, eps, lengths, half, keep)
    return y.transpose(1, 2)


torch.library.define(
    "multiresconv::block",
    "(Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory, Tensor mix_weight, Tensor mix_bias, Tensor scale_1, "
    "Tensor scale_2, Tensor? weight, Tensor? bias, float eps, Tensor? lengths, bool half, bool keep) "
    "-> (Tensor, Tensor, Tensor)",
)
torch.library.define(
    "multiresconv::block_backward",
    "(Tensor grad, Tensor g, Tensor m, Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory, Tensor mix_weight, "
    "Tensor mix_bias, Tensor scale_1, Tensor scale_2, Tensor? weight, float eps, Tensor? lengths) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
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
) -> tuple[Tensor, Tensor, Tensor]:
    """The output, and what backward needs beside the arguments: the linear map's input and output, or nothing."""
    from multiresconv.ops import block_kernels as kernels
    from multiresconv.ops.cpu_kernels import GROUP

    batch, channels, length = x.shape
    steps = [length] * batch if lengths is None else lengths.tolist()
    shares = _shares(steps, _block_work(x, h0, w))
    kept, dtype = batch if keep else _slots(shares), torch.bfloat16 if half else x.dtype
    out = empty(x.shape, x.dtype)
    g, m = (empty((kept, size * channels, length), dtype) for size in (1, 2))
    linear = mix_weight.to(dtype)
    x_, out_, g_, m_, s_1, s_2 = (_bits(t) for t in (x, out, g, m, scale_1, scale_2))
    patterns, filters = _patterns(x, h0, GROUP), _filters(h0, h1, w, memory)
    if weight is None or bias is None:
        tail, norm = kernels.glu_residual, []
    else:
        tail, norm = kernels.glu_residual_norm, [_array(weight), _array(bias), _scalar(eps, x)]

    def element(i: int, slot: int, call: Call) -> None:
        k, n = i if keep else slot, steps[i]
        e, s = slice(i, i + 1), slice(k, k + 1)
        call(kernels.conv_gelu, channels, _work(x[e], h0, w), [*patterns, x_[e], g_[s], *filters, s_1[e], n])
        torch.mm(linear, g[k, :, :n], out=m[k, :, :n])
        units = _units(n) if norm else channels
        call(tail, units, 32 * x[i].numel(), [m_[s], _array(mix_bias), x_[e], out_[e], s_2[e], *norm, n])

    _each(shares, element)
    return (out, g, m) if keep else (out, x.new_empty(0), x.new_empty(0))


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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, h0, h1, w, the linear map's weight and bias, and the norm's (empty without one)."""
    from multiresconv.ops import block_kernels as kernels
    from multiresconv.ops.cpu_kernels import GROUP

    batch, channels, length = x.shape
    steps = [length] * batch if lengths is None else lengths.tolist()
    shares = _shares(steps, 4 * _block_work(x, h0, w))
    slots = _slots(shares)
    grad_x = empty(x.shape, x.dtype)
    grad_g, grad_m = (empty((slots, size * channels, length), m.dtype) for size in (1, 2))
    grad_linear = torch.zeros(slots, 2 * channels, channels, dtype=x.dtype)
    linear = mix_weight.t().to(m.dtype)
    x_, grad_, grad_x_, m_, grad_m_, grad_g_ = (_bits(t) for t in (x, grad, grad_x, m, grad_m, grad_g))
    s_1, s_2, mix_bias_ = _array(scale_1), _array(scale_2), _array(mix_bias)
    patterns, filters = _patterns(x, h0, GROUP), _filters(h0, h1, w, memory)
    if weight is None:
        tail, norm, rows = kernels.glu_residual_backward, [], 1
    else:
        tail, norm, rows = kernels.glu_residual_norm_backward, [_array(weight), _scalar(eps, x)], _units(length)
    # Sums of each (element, channel) or unit, added up below in a fixed order.
    conv_sums = np.empty((batch, channels, 2 * h0.shape[1] + w.shape[1]))
    sums = np.zeros((batch, rows, (4 if norm else 2) * channels))

    def element(i: int, slot: int, call: Call) -> None:
        e, s, n = slice(i, i + 1), slice(slot, slot + 1), steps[i]
        inputs = [m_[e], mix_bias_, *([x_[e]] if norm else []), grad_[e], grad_m_[s], grad_x_[e]]
        units = _units(n) if norm else channels
        call(tail, units, 64 * x[i].numel(), [*inputs, s_2[e], *norm, sums[i], n])
        to_m, of_g = grad_m[slot, :, :n], g[i, :, :n]
        torch.mm(linear, to_m, out=grad_g[slot, :, :n])
        if m.dtype == x.dtype:
            grad_linear[slot].addmm_(to_m, of_g.t())
        else:  # sums of bfloat16 products are kept in float32
            grad_linear[slot].add_(torch.mm(to_m, of_g.t()))
        inputs = [*patterns, x_[e], grad_g_[s], grad_x_[e], *filters, s_1[e], conv_sums[e], n]
        call(kernels.conv_gelu_backward, channels, 4 * _work(x[e], h0, w), inputs)

    _each(shares, element)
    total = torch.from_numpy(conv_sums.sum(axis=0)).to(x.dtype)
    grad_h0, grad_h1, grad_w = total.split([h0.shape[1], h0.shape[1], w.shape[1]], dim=1)
    of_biases = np.split(sums.sum(axis=(0, 1)), [2 * channels, 3 * channels])
    # Clones, because what an operator returns must share no memory.
    others = (grad_w, *(torch.from_numpy(t).to(x.dtype) for t in of_biases))
    grad_w, grad_mix_bias, grad_weight, grad_bias = (t.clone(memory_format=torch.contiguous_format) for t in others)
    return grad_x, grad_h0.flip(1), grad_h1.flip(1), grad_w, grad_linear.sum(0), grad_mix_bias, grad_weight, grad_bias


def _units(length: int) -> int:
    """Into how many units the kernels of a layer norm divide an element."""
    from multiresconv.ops.block_kernels import STEPS

    return -(-length // STEPS)


def _shares(steps: list[int], work: int) -> list[list[int]]:
    """The elements, of so many steps each, as threads take them; last those that do not go round, for all together.

    The same for the same number of threads, and with it the order of the sums.
    """
    threads = torch.get_num_threads() if work > _SERIAL_WORK else 1
    longest_first = sorted(range(len(steps)), key=lambda i: -steps[i])
    alone = len(steps) // threads * threads
    shares: list[list[int]] = [[] for _ in range(threads if alone else 0)]
    for i in longest_first[:alone]:
        min(shares, key=lambda share: sum(steps[k] for k in share)).append(i)
    return [*shares, longest_first[alone:]]


def _slots(shares: list[list[int]]) -> int:
    return len(shares) - (not shares[-1])


def _each(shares: list[list[int]], element: Callable[[int, int, Call], None]) -> None:
    """`element(i, slot, call)` for every element of every share, slot being the number of the share."""

    def call_here(kernel: Callable[..., None], units: int, work: int, args: list[Any]) -> None:
        kernel(*args, 0, units)

    def run(slot: int) -> None:
        # Autocast and what autograd keeps are settings of a thread, and none of them is for what happens here.
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            for i in shares[slot]:
                element(i, slot, call_here)

    *alone, rest = shares
    share(run, len(alone), len(alone))
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        for i in rest:
            element(i, len(alone), parallel)


torch.library.impl("multiresconv::block", "cpu", _forward)
torch.library.impl("multiresconv::block_backward", "cpu", _backward)


@torch.library.register_fake("multiresconv::block")
def _(x: Tensor, *args: Any) -> tuple[Tensor, Tensor, Tensor]:
    half, keep = args[-2:]
    batch, channels, length = x.shape
    if not keep:
        return x.new_empty(x.shape), x.new_empty(0), x.new_empty(0)
    g, m = (x.new_empty(batch, size * channels, length, dtype=torch.bfloat16 if half else x.dtype) for size in (1, 2))
    return x.new_empty(x.shape), g, m


@torch.library.register_fake("multiresconv::block_backward")
def _(grad: Tensor, g: Tensor, m: Tensor, x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    h0, h1, w, _, mix_weight, mix_bias, _, _, weight, _, _ = args
    norm = [x.new_empty(0 if weight is None else x.shape[1]) for _ in range(2)]
    return *(t.new_empty(t.shape) for t in (x, h0, h1, w, mix_weight, mix_bias)), *norm


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, h0, h1, w, ctx.memory, mix_weight, mix_bias, scale_1, scale_2, weight, _, ctx.eps, lengths, _, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:], x, h0, h1, w, mix_weight, mix_bias, scale_1, scale_2, weight, lengths)


def _gradients(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
    g, m, x, h0, h1, w, mix_weight, mix_bias, scale_1, scale_2, weight, lengths = ctx.saved_tensors
    tensors = [g, m, x, h0, h1, w, ctx.memory, mix_weight, mix_bias, scale_1, scale_2, weight]
    grads = torch.ops.multiresconv.block_backward.default(grad, *tensors, ctx.eps, lengths)
    norm = grads[6:] if weight is not None else (None, None)
    return *grads[:4], None, *grads[4:6], None, None, *norm, None, None, None, None


torch.library.register_autograd("multiresconv::block", _gradients, setup_context=_save_for_backward)
torch.library.register_autograd("multiresconv::block_backward", _no_second_derivative)


def _bits(t: Tensor) -> np.ndarray:
    """t as the kernels see it: bfloat16, which NumPy lacks, as uint16."""
    return _array(t.view(torch.uint16) if t.dtype == torch.bfloat16 else t)


def _scalar(value: float, like: Tensor) -> Any:
    """`value` as a number of the dtype of `like`, so that it promotes nothing."""
    return np.array(value, _array(like[:0]).dtype)[()]


def _block_work(x: Tensor, h0: Tensor, w: Tensor) -> int:
    return _work(x, h0, w) + 2 * x.numel() * x.shape[2]
