"""Registration of the CPU operators with PyTorch: schema, implementation, shapes, gradients; and a direct call.

PyTorch's dispatcher needs about 0.2 ms to reach an operator that is written in Python and has a gradient. If no
compiler, dispatch mode or transform has to see the operators, the `autograd.Function`s below are called instead.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from multiresconv.ops.block import TENSORS, BlockParameters
from multiresconv.ops.cpu import batch_norm
from multiresconv.ops.cpu import block as blocks
from multiresconv.ops.cpu import operator as convolution
from multiresconv.ops.layout import empty_like
from multiresconv.ops.transforms import refuse_tangents


def multires_conv_cpu(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: tuple[int, ...]) -> Tensor:
    """Compute `multires_conv` on the CPU; shapes as in `multires_conv_reference`. Differentiable once."""
    run = _Convolution.apply if direct(x, h0, h1, w) else torch.ops.multiresconv.cpu_forward.default
    return run(x, h0, h1, w, memory)


def block_cpu(
    x: Tensor, parameters: BlockParameters, scales: tuple[Tensor, Tensor], lengths: Tensor | None, dtype: torch.dtype
) -> Tensor:
    """Compute `multires_block`. The kernels take (B, D, L); both transpositions are views."""
    tensors = (x.transpose(1, 2), *parameters.flatten())
    run = _Block.apply if direct(*tensors, *scales, lengths) else torch.ops.multiresconv.block.default
    half, keep = dtype == torch.bfloat16, torch.is_grad_enabled()
    y, *_ = run(*tensors, parameters.memory, parameters.eps, *scales, lengths, half, keep)
    return y.transpose(1, 2)


def moments(x: Tensor, lengths: Tensor) -> Tensor:
    """Return the sum and the sum of squared deviations from the mean of every channel of every element.

    The gradient of `normalise` already includes how mean and variance depend on x, so this result has none.

    Args:
        x: (B, D, L), float32 or float64.
        lengths: (B,) integers in 1..L, the number of valid steps of each element; only these are summed.

    Returns:
        (B, D, 2) float64.
    """
    return torch.ops.multiresconv.moments.default(x.detach(), lengths)


def normalise(
    x: Tensor, lengths: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, scale: Tensor, share: Tensor, group: str
) -> Tensor:
    """Compute (x - mean) * scale * weight + bias at the valid steps and 0 in the padding. Differentiable once.

    Args:
        x: (B, D, L), float32 or float64.
        lengths: (B,) integers in 1..L, the number of valid steps of each element.
        weight, bias: (D,) in the dtype of x.
        mean: (D,) float64, mean of x.
        scale: (D,) float64, reciprocal standard deviation of x.
        share: () float64, the share of one step in mean and variance, 1 / (number of valid steps); 0 if mean and
            variance are constants.
        group: name of the `torch.distributed` group over whose batches mean and variance are taken, or "".

    Returns:
        (B, D, L) in the dtype of x.
    """
    return torch.ops.multiresconv.normalise.default(x, lengths, weight, bias, mean, scale, share, group)


def process_group(name: str) -> Any:
    """Return the `torch.distributed` group of this name. Names can be copied, pickled and passed to operators."""
    from torch._C._distributed_c10d import _resolve_process_group  # absent from builds without distributed

    return _resolve_process_group(name)  # pyright: ignore[reportArgumentType]


def find_observers() -> tuple[Callable[[], bool], ...] | None:
    """Return functions that detect a compiler, a dispatch mode or a functorch transform.

    None if this PyTorch lacks one of them: two are private.
    """
    try:
        from torch._C import _are_functorch_transforms_active
        from torch.utils._python_dispatch import is_in_torch_dispatch_mode
    except ImportError:
        return None
    return torch.compiler.is_compiling, is_in_torch_dispatch_mode, _are_functorch_transforms_active


OBSERVERS = find_observers()


def direct(*tensors: Tensor | None) -> bool:
    """Return True if all tensors are plain and no compiler, dispatch mode or functorch transform is active."""
    if OBSERVERS is None or any(wants_to_see() for wants_to_see in OBSERVERS):
        return False
    return all(t is None or type(t) in (Tensor, nn.Parameter) for t in tensors)


# `torch.library.custom_op` would be shorter, but its first call imports torch._dynamo, which takes a second.
def _register(
    name: str,
    schema: str,
    run: Callable[..., Any],
    shapes: Callable[..., Any],
    gradients: Callable[..., Any],
    save: Callable[..., None] | None = None,
) -> None:
    def run_checked(*args: Any) -> Any:
        refuse_tangents(name)
        return run(*args)

    torch.library.define(f"multiresconv::{name}", schema)
    torch.library.impl(f"multiresconv::{name}", "cpu", run_checked)
    torch.library.register_fake(f"multiresconv::{name}", shapes)
    torch.library.register_autograd(f"multiresconv::{name}", gradients, setup_context=save)


def _no_second_derivative(ctx: Any, *grads: Tensor) -> None:
    # Without this, PyTorch would silently treat second derivatives as zero.
    raise RuntimeError("backend: 'cpu' is differentiable once; name 'reference' for second derivatives")


def _once(grads: Sequence[Tensor], saved: Sequence[Tensor | None]) -> bool:
    """Return True if gradients may be computed directly, because no second derivative is requested."""
    return direct(*grads, *saved) and not torch.is_grad_enabled()


def _save_convolution(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.memory = inputs
    ctx.save_for_backward(*tensors)


def _convolution_gradients(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    run: Any = convolution.backward if _once(grads, saved) else torch.ops.multiresconv.cpu_backward.default
    return *run(*grads, *saved, ctx.memory), None


class _Convolution(torch.autograd.Function):
    """Direct call of `multiresconv::cpu_forward`, without the dispatcher."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        _save_convolution(ctx, inputs, inputs[0])
        return convolution.forward(*inputs)

    backward = staticmethod(_convolution_gradients)


_register(
    "cpu_forward",
    "(Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory) -> Tensor",
    convolution.forward,
    lambda x, h0, h1, w, memory: empty_like(x),
    _convolution_gradients,
    _save_convolution,
)
_register(
    "cpu_backward",
    "(Tensor grad_y, Tensor x, Tensor h0, Tensor h1, Tensor w, int[] memory) -> (Tensor, Tensor, Tensor, Tensor)",
    convolution.backward,
    lambda grad_y, x, h0, h1, w, memory: (empty_like(x), *(t.new_empty(t.shape) for t in (h0, h1, w))),
    _no_second_derivative,
)


def _block(x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    """Return the output and the four tensors of `blocks.Kept`, which backward needs."""
    *tensors, memory, eps, scale_1, scale_2, lengths, half, keep = args
    parameters = BlockParameters.unflatten(tensors, memory, eps)
    y, kept = blocks.forward(x, parameters, (scale_1, scale_2), lengths, torch.bfloat16 if half else x.dtype, keep)
    return y, *kept


def _block_shapes(x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    *tensors, memory, eps, _, _, _, half, keep = args
    projection = BlockParameters.unflatten(tensors, memory, eps).projection
    dtype = torch.bfloat16 if half and keep else x.dtype
    sizes = [1, 2, projection is not None] if keep else [0, 0, 0]
    kept = (x.new_empty(size * x.numel(), dtype=dtype) for size in sizes)
    return x.new_empty(x.shape), *kept, x.new_empty((), dtype=torch.int64)


def _block_backward(grad: Tensor, *args: Any) -> tuple[Tensor, ...]:
    """Return the gradients of x and of the flat parameters; the gradient of an absent parameter is an empty tensor."""
    g, m, r, threads, x, *tensors, memory, eps, scale_1, scale_2, lengths = args
    parameters = BlockParameters.unflatten(tensors, memory, eps)
    grad_x, grads = blocks.backward(grad, blocks.Kept(g, m, r, threads), x, parameters, (scale_1, scale_2), lengths)
    return grad_x, *(x.new_empty(0) if t is None else t for t in grads.flatten())


def _block_backward_shapes(grad: Tensor, *args: Any) -> tuple[Tensor, ...]:
    _, _, _, _, x, *tensors, _, _, _, _, _ = args
    return x.new_empty(x.shape), *(x.new_empty(0 if t is None else t.shape) for t in tensors)


def _save_block(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.memory, ctx.eps, scale_1, scale_2, lengths, _, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:], *tensors, scale_1, scale_2, lengths)


def _block_gradients(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, scale_1, scale_2, lengths = ctx.saved_tensors
    run: Any = _block_backward if _once(grads[:1], ctx.saved_tensors) else torch.ops.multiresconv.block_backward.default
    grad_x, *others = run(grads[0], *tensors, ctx.memory, ctx.eps, scale_1, scale_2, lengths)
    parameters = tensors[-len(others) :]
    return grad_x, *(None if t is None else g for t, g in zip(parameters, others, strict=True)), *(None,) * 7


class _Block(torch.autograd.Function):
    """Direct call of `multiresconv::block`, without the dispatcher."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        output = _block(*inputs)
        _save_block(ctx, inputs, output)
        ctx.mark_non_differentiable(*output[1:])
        return output

    backward = staticmethod(_block_gradients)


_KEPT = "Tensor g, Tensor m, Tensor r, Tensor threads"
_OPTIONS = "int[] memory, float eps, Tensor scale_1, Tensor scale_2, Tensor? lengths"
_register(
    "block",
    f"(Tensor x, {TENSORS}, {_OPTIONS}, bool half, bool keep) -> ({', '.join(['Tensor'] * 5)})",
    _block,
    _block_shapes,
    _block_gradients,
    _save_block,
)
_register(
    "block_backward",
    f"(Tensor grad, {_KEPT}, Tensor x, {TENSORS}, {_OPTIONS}) -> ({', '.join(['Tensor'] * 13)})",
    _block_backward,
    _block_backward_shapes,
    _no_second_derivative,
)


def _save_norm(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, lengths, weight, _, mean, scale, share, ctx.group = inputs
    ctx.save_for_backward(x, lengths, weight, mean, scale, share)


def _norm_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, lengths, weight, mean, scale, share = ctx.saved_tensors
    total, along = torch.ops.multiresconv.gradient_sums.default(grad, x, lengths, mean)
    grad_weight, grad_bias = (along * scale).to(weight.dtype), total.to(weight.dtype)
    sums = torch.stack([total, along])
    if ctx.group:  # the loss of every process of the group depends on these statistics
        dist.all_reduce(sums, group=process_group(ctx.group))
    constant, slope = sums[0] * share, sums[1] * share * scale.square()
    backward = torch.ops.multiresconv.normalise_backward.default
    grad_x = backward(grad, x, lengths, mean, scale * weight, constant, slope)
    return grad_x, None, grad_weight, grad_bias, None, None, None, None


_register(
    "moments",
    "(Tensor x, Tensor lengths) -> Tensor",
    batch_norm.moments,
    lambda x, lengths: x.new_empty(*x.shape[:2], 2, dtype=torch.float64),
    _no_second_derivative,
)
_register(
    "normalise",
    "(Tensor x, Tensor lengths, Tensor weight, Tensor bias, Tensor mean, Tensor scale, Tensor share, str group)"
    " -> Tensor",
    batch_norm.normalise,
    lambda x, *others: x.new_empty(x.shape),
    _norm_gradients,
    _save_norm,
)
_register(
    "gradient_sums",
    "(Tensor grad, Tensor x, Tensor lengths, Tensor mean) -> (Tensor, Tensor)",
    batch_norm.gradient_sums,
    lambda grad, x, lengths, mean: (mean.new_empty(mean.shape), mean.new_empty(mean.shape)),
    _no_second_derivative,
)
_register(
    "normalise_backward",
    "(Tensor grad, Tensor x, Tensor lengths, Tensor mean, Tensor factor, Tensor constant, Tensor slope) -> Tensor",
    batch_norm.normalise_backward,
    lambda grad, x, *others: x.new_empty(x.shape),
    _no_second_derivative,
)
