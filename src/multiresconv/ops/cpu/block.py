"""A block as one PyTorch operator on the CPU: convolution, GELU, linear map, GLU, projection, residual sum, layer norm.

Inside, sequences are (B, D, L), which suits every step; blocks hand them on transposed, without a copy.
"""

from typing import Any

import torch
from torch import Tensor

from multiresconv.ops.cpu.block_passes import backward_block, forward_block
from multiresconv.ops.cpu.direct import direct
from multiresconv.ops.cpu.operator import _no_second_derivative


def block_cpu(
    x: Tensor,
    conv: tuple[Tensor, Tensor, Tensor],
    memory: tuple[int, ...],
    mix: tuple[Tensor, Tensor],
    scales: tuple[Tensor, Tensor],
    projection: tuple[Tensor, Tensor] | None,
    norm: tuple[Tensor, Tensor, float] | None,
    dtype: torch.dtype,
    lengths: Tensor | None,
) -> Tensor:
    """norm(x + projection(s_2 * GLU(linear(s_1 * GELU(multires_conv(x)))))): x (B, L, D) -> (B, L, D).

    Differentiable once.

    Args:
        x: (B, L, D), float32 or float64.
        conv: h0 (D, K), h1 (D, K) and w of `multires_conv`.
        memory: (m_J, ..., m_1).
        mix: weight (2D, D) and bias (2D,) of the linear map.
        scales: s_1 and s_2 (B, D), what dropout multiplies the channels with; they get no gradient.
        projection: weight (D, D) and bias (D,) of the second linear map, or None for none.
        norm: weight (D,), bias (D,) and epsilon of a layer norm, or None for none.
        dtype: of the linear maps: that of x, or bfloat16 where x is float32. All else has the dtype of x.
        lengths: (B,) integers in 1..L, how many steps of each element are valid, or None for all. No time is spent on
            the others: they come out as 0, and so does their gradient.
    """
    weight, bias, eps = norm or (None, None, 0.0)
    half, keep = dtype == torch.bfloat16, torch.is_grad_enabled()
    tensors = (x.transpose(1, 2), *conv)
    others = (*mix, *scales, *(projection or (None, None)), weight, bias)
    run = _Block.apply if direct(*tensors, *others, lengths) else torch.ops.multiresconv.block.default
    y, *_ = run(*tensors, memory, *others, eps, lengths, half, keep)
    return y.transpose(1, 2)


torch.library.define(
    "multiresconv::block",
    "(Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory, Tensor mix_weight, Tensor mix_bias, Tensor scale_1, "
    "Tensor scale_2, Tensor? projection_weight, Tensor? projection_bias, Tensor? weight, Tensor? bias, float eps, "
    "Tensor? lengths, bool half, bool keep) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
torch.library.define(
    "multiresconv::block_backward",
    "(Tensor grad, Tensor g, Tensor m, Tensor r, Tensor threads, Tensor x, Tensor h0, Tensor h1, Tensor w, "
    "int[] memory, Tensor mix_weight, Tensor mix_bias, Tensor scale_1, Tensor scale_2, Tensor? projection_weight, "
    "Tensor? projection_bias, Tensor? weight, float eps, Tensor? lengths) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)


torch.library.impl("multiresconv::block", "cpu", forward_block)
torch.library.impl("multiresconv::block_backward", "cpu", backward_block)


@torch.library.register_fake("multiresconv::block")
def _(x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    projection_weight, half, keep = args[8], *args[-2:]
    dtype = torch.bfloat16 if half and keep else x.dtype
    sizes = [1, 2, projection_weight is not None] if keep else [0, 0, 0]
    kept = (x.new_empty(size * x.numel(), dtype=dtype) for size in sizes)
    return x.new_empty(x.shape), *kept, x.new_empty((), dtype=torch.int64)


@torch.library.register_fake("multiresconv::block_backward")
def _(grad: Tensor, g: Tensor, m: Tensor, r: Tensor, threads: Tensor, x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    h0, h1, w, _, mix_weight, mix_bias, _, _, projection_weight, projection_bias, weight, _, _ = args
    given = (t.new_empty(t.shape) for t in (x, h0, h1, w, mix_weight, mix_bias))
    second = (x.new_empty((0, 0)), x.new_empty(0))
    if projection_weight is not None:
        second = (
            projection_weight.new_empty(projection_weight.shape),
            projection_bias.new_empty(projection_bias.shape),
        )
    norm = (x.new_empty(0 if weight is None else x.shape[1]) for _ in range(2))
    return *given, *second, *norm


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, _, ctx.eps, lengths, _, _ = inputs
    ctx.memory = tensors.pop(4)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:], *tensors, lengths)


def _gradients(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
    *tensors, lengths = ctx.saved_tensors
    projection_weight, _, weight = tensors[-3:]
    once = direct(grad, *tensors) and not torch.is_grad_enabled()
    run: Any = backward_block if once else torch.ops.multiresconv.block_backward.default
    grads = run(grad, *tensors[:8], ctx.memory, *tensors[8:], ctx.eps, lengths)
    second = grads[6:8] if projection_weight is not None else (None, None)
    norm = grads[8:] if weight is not None else (None, None)
    return *grads[:4], None, *grads[4:6], None, None, *second, *norm, None, None, None, None


class _Block(torch.autograd.Function):
    """The operator, directly."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        output = forward_block(*inputs)
        _save_for_backward(ctx, inputs, output)
        ctx.mark_non_differentiable(*output[1:])
        return output

    backward = staticmethod(_gradients)


torch.library.register_autograd("multiresconv::block", _gradients, setup_context=_save_for_backward)
torch.library.register_autograd("multiresconv::block_backward", _no_second_derivative)
