"""Random arguments of the operator, and its value with all gradients, for the tests of operator and backends."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from multiresconv import fading, multires_conv, uniform
from multiresconv.ops import weight_size

Arguments = tuple[Tensor, Tensor, Tensor, Tensor, tuple[int, ...]]


def arguments(
    batch: int, channels: int, length: int, kernel_size: int, memory: tuple[int, ...], *,
    dtype: torch.dtype = torch.float64, channels_last: bool = False, seed: int = 0,
) -> Arguments:  # fmt: skip
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=random, dtype=torch.float64) * scale).to(dtype)

    x = draw(batch, length, channels).transpose(1, 2) if channels_last else draw(batch, channels, length)
    taps = [draw(channels, kernel_size, scale=kernel_size**-0.5) for _ in range(2)]
    return x, *taps, draw(channels, weight_size(memory)), memory


@st.composite
def memories(draw: st.DrawFn, kernel_size: int) -> tuple[int, ...]:
    depth = draw(st.integers(1, 7))
    kind = draw(st.sampled_from(["fading", "uniform", "free"]))
    if kind == "fading":
        return fading(depth)
    if kind == "uniform":
        return uniform(depth, kernel_size, draw(st.integers(1, min(40, 2**depth))))
    return tuple(draw(st.lists(st.integers(0, 9), min_size=depth, max_size=depth)))


@st.composite
def operator_arguments(draw: st.DrawFn, dtype: torch.dtype = torch.float64) -> Arguments:
    kernel_size = draw(st.sampled_from([2, 3, 4, 5, 8, 11]))
    return arguments(
        draw(st.integers(1, 3)),
        draw(st.sampled_from([1, 2, 5, 16, 19])),
        draw(st.one_of(st.integers(1, 40), st.integers(41, 200))),
        kernel_size,
        draw(memories(kernel_size)),
        dtype=dtype,
        channels_last=draw(st.booleans()),
        seed=draw(st.integers(0, 2**16)),
    )


def value_and_gradients(args: Arguments, backend: str, grad_y: Tensor | None = None) -> dict[str, Tensor]:
    """y and the gradients of sum(y * grad_y), grad_y random unless given."""
    tensors = [t.detach().requires_grad_() for t in args[:4]]
    y = multires_conv(*tensors, args[4], backend=backend)
    if grad_y is None:
        grad_y = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(y.dtype)
    # a memory without wavelet coefficients does not use h1
    grads = torch.autograd.grad(y, tensors, grad_y, allow_unused=True, materialize_grads=True)
    return {"y": y.detach(), **dict(zip(("grad_x", "grad_h0", "grad_h1", "grad_w"), grads, strict=True))}
